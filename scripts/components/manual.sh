# Sourced by services.sh: manual pages and completions, which the installed programs write about themselves.
# shellcheck shell=bash

MANUAL=/usr/local/share/man/man1
declare -A COMPLETIONS=(
    [bash]=/etc/bash_completion.d/benchlab
    [zsh]=/usr/local/share/zsh/site-functions/_benchlab
    [fish]=/etc/fish/conf.d/benchlab.fish
)

install_manual() {
    local work page shell benchctl=("$DEST$PREFIX/.venv/bin/python" -m benchctl)
    [[ -z $DRY ]] || { say "would write manual pages to $DEST$MANUAL, and completions for ${!COMPLETIONS[*]}" && return; }
    work=$(mktemp -d)
    "${benchctl[@]}" man "$work" >/dev/null
    for page in "$work"/*.1; do
        put_noted "$MANUAL/${page##*/}" <"$page"
    done
    for shell in "${!COMPLETIONS[@]}"; do
        "${benchctl[@]}" completions "$shell" >"$work/$shell"
        put_noted "${COMPLETIONS[$shell]}" <"$work/$shell"
    done
    rm -rf -- "$work"
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
