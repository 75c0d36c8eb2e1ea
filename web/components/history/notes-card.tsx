"use client";

import { Bookmark as BookmarkIcon, StickyNote } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button, Card } from "@/components/ui";
import { ApiError, type Bookmark, type Note, type SessionDetail, post } from "@/lib/api";
import { clockTime, dateTime } from "@/lib/format";
import { sessionUrl } from "@/lib/history/urls";

interface Props {
  session: SessionDetail;
  /** Called when something was added. */
  onChange: () => void;
  onBookmark: (t: number) => void;
}

/** What people noted about the session, and the moments they marked. */
export function NotesCard({ session, onChange, onBookmark }: Props) {
  return (
    <Card id="notes" title="Notes and bookmarks" note="kept in the session's folder">
      <Adding label="Note" button="Add note" placeholder="What was tried, what was seen" icon={StickyNote} rows={3} send={(text, token) => post<Note>(`${sessionUrl(session.id)}/notes`, { text }, token)} onAdded={onChange} />
      <ul aria-label="Notes" className="mt-3 flex max-h-72 flex-col gap-2 overflow-y-auto">
        {session.notes.length === 0 && <li className="text-ink-3">No note yet.</li>}
        {session.notes.toReversed().map((note) => (
          <li key={`${note.t_ms} ${note.text}`} className="rounded-control bg-sunken px-3 py-2">
            <p className="break-words whitespace-pre-wrap">{note.text}</p>
            <p className="figures text-label text-ink-3">{[dateTime(note.t_ms), note.author].filter(Boolean).join(" · ")}</p>
          </li>
        ))}
      </ul>
      <h3 className="mt-4 mb-2 font-medium">Bookmarks</h3>
      {session.open && <Adding label="Bookmark" button="Mark now" placeholder="Name of this moment" icon={BookmarkIcon} rows={1} send={(name, token) => post<Bookmark>(`${sessionUrl(session.id)}/bookmarks`, { name }, token)} onAdded={onChange} />}
      <ul aria-label="Bookmarks" className="mt-2 flex max-h-56 flex-col overflow-y-auto">
        {session.bookmarks.length === 0 && <li className="text-ink-3">No bookmark{session.open ? " yet" : ""}.</li>}
        {session.bookmarks.map((mark) => (
          <li key={`${mark.t_ms} ${mark.name}`}>
            <button type="button" title="Zoom to this moment" onClick={() => onBookmark(mark.t_ms)} className="flex min-h-9 w-full items-center gap-2 rounded-sm px-1 text-left hover:bg-info-soft">
              <BookmarkIcon aria-hidden className="size-4 shrink-0 text-ink-3" />
              <span className="min-w-0 flex-1 truncate">{mark.name}</span>
              <span className="figures text-label text-ink-3">{clockTime(mark.t_ms, true)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

// Asked for once where webd wants one, and kept no longer than the page.
let token = "";

interface AddingProps {
  label: string;
  button: string;
  placeholder: string;
  icon: typeof StickyNote;
  rows: number;
  send: (text: string, token: string | undefined) => Promise<unknown>;
  onAdded: () => void;
}

/** A field whose text is sent; what was typed stays until webd has it. */
function Adding({ label, button, placeholder, icon, rows, send, onAdded }: AddingProps) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    setBusy(true);
    try {
      await send(text.trim(), token || undefined);
      setText("");
      setError(null);
      onAdded();
    } catch (found) {
      setError(found instanceof ApiError ? found : new ApiError(0, String(found)));
    } finally {
      setBusy(false);
    }
  };
  const field = {
    "aria-label": label,
    placeholder,
    value: text,
    onChange: (event: { target: { value: string } }) => setText(event.target.value),
    className: "w-full min-w-0 rounded-control border border-hairline-strong/60 bg-solid px-3 py-2 placeholder:text-ink-3",
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-2">
      <div className={rows > 1 ? "flex flex-col items-end gap-2" : "flex gap-2"}>
        {rows > 1 ? <textarea rows={rows} {...field} /> : <input {...field} />}
        <Button type="submit" icon={icon} disabled={busy || !text.trim()}>{button}</Button>
      </div>
      {error && <p role="alert" className="text-bad">{error.message}</p>}
      {error?.status === 401 && (
        <input type="password" autoComplete="off" aria-label="Token of webd" placeholder="Token of webd" onChange={(event) => { token = event.target.value; }} className="h-9 rounded-control border border-hairline-strong/60 bg-solid px-3 placeholder:text-ink-3" />
      )}
    </form>
  );
}
