/** The theme: light or dark, the viewer's choice kept in localStorage, else the system's. */

export type Theme = "light" | "dark";
export const THEME_KEY = "benchlab.theme";

/** Runs in the head before anything is painted, so that no page flashes in the wrong theme. */
export const THEME_SCRIPT = `(function(){var t;try{t=localStorage.getItem("${THEME_KEY}")}catch(e){}if(t!=="light"&&t!=="dark")t=matchMedia("(prefers-color-scheme: dark)").matches?"dark":"light";document.documentElement.dataset.theme=t})()`;

/** Return the theme in force. */
export function theme(): Theme {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

/** Put a theme in force and keep it. Storage that is refused costs the memory of it, nothing else. */
export function setTheme(next: Theme): void {
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(THEME_KEY, next);
  } catch {
    // private mode: the choice lasts as long as the page
  }
}

/** Call `changed` whenever the theme changes; return what ends that. */
export function watchTheme(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}
