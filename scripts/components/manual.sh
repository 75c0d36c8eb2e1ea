# Sourced by services.sh: manual pages and completions, which the installed programs write about themselves.
# shellcheck shell=bash

MANUAL=/usr/local/share/man/man1
declare -A COMPLETIONS=(
    [bash]=/etc/bash_completion.d/benchlab
    [zsh]=/usr/local/share/zsh/site-functions/_benchlab
    [fish]=/etc/fish/conf.d/benchlab.fish
)

# They are kept with the programs, so they are made anew with them, and only then: that takes some seconds.
install_manual() {
    local made=$DEST$PREFIX/.venv/share/benchlab page shell
    [[ -z $DRY ]] || { say "would write manual pages to $DEST$MANUAL, and completions for ${!COMPLETIONS[*]}" && return; }
    [[ -d $made ]] || write_manual "$made"
    for page in "$made"/*.1; do
        put_noted "$MANUAL/${page##*/}" <"$page"
    done
    for shell in "${!COMPLETIONS[@]}"; do
        put_noted "${COMPLETIONS[$shell]}" <"$made/$shell"
    done
}

# write_manual FOLDER: has the programs write all of it into a folder that is not there yet.
write_manual() {
    local shell benchctl=("$DEST$PREFIX/.venv/bin/python" -m benchctl)
    rm -rf -- "$1.new"
    mkdir -p -- "$1.new"
    "${benchctl[@]}" man "$1.new" >/dev/null
    for shell in "${!COMPLETIONS[@]}"; do
        "${benchctl[@]}" completions "$shell" >"$1.new/$shell"
    done
    mv -- "$1.new" "$1"
}

# put_noted PATH: writes what comes on stdin, and writes down that it is ours.
put_noted() {
    put 0644 "$1"
    grep -qxF -- "file $1" "$DEST$PREFIX/.made" || note file "$1"
}

# Removes what was written down as ours.
remove_manual() {
    local files path
    mapfile -t files < <(sed -n 's/^file //p' "$DEST$PREFIX/.made" 2>/dev/null)
    for path in ${files[@]+"${files[@]}"}; do
        take "$path"
    done
}
