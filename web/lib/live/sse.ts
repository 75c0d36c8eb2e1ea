/** Server-sent events out of text that arrives in any pieces, as the HTML standard reads them. */

export interface Message {
  event: string;
  data: string;
  id: string | null;
}

export class Parser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id: string | null = null;
  private first = true;

  /** Return the messages that `text` completes. */
  feed(text: string): Message[] {
    let all = this.rest + text;
    if (this.first && all.length) {
      this.first = false;
      if (all.startsWith("\uFEFF")) all = all.slice(1);
    }
    // a CR at the very end may be the first half of a CRLF
    const held = all.endsWith("\r") ? "\r" : "";
    const lines = (held ? all.slice(0, -1) : all).split(/\r\n|\n|\r/);
    this.rest = lines.pop()! + held;
    return lines.flatMap((line) => this.line(line) ?? []);
  }

  private line(line: string): Message | null {
    if (line === "") return this.finish();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return null;
  }

  private finish(): Message | null {
    const message = this.data.length ? { event: this.event || "message", data: this.data.join("\n"), id: this.id } : null;
    this.event = "";
    this.data = [];
    return message;
  }
}
