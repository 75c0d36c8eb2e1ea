"use strict";

for (const form of document.querySelectorAll("form[data-path]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
}

async function ask(form) {
  const section = form.closest("section");
  const [request, status, answer] = [".request", ".status", ".answer"].map((name) => section.querySelector(name));
  const button = form.querySelector("button");
  const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(chosen).toString();
  const url = new URL("." + form.dataset.path + (query ? "?" + query : ""), location.href.split(/[?#]/)[0]);
  request.textContent = 'curl "' + url + '"';
  request.hidden = false;
  status.className = "status";
  status.textContent = "asking ...";
  button.disabled = true;
  const began = performance.now();
  try {
    const response = await fetch(url, { cache: "no-store" });
    const text = await response.text();
    status.textContent = response.status + " " + response.statusText + ", " + Math.round(performance.now() - began) + " ms";
    status.classList.toggle("bad", !response.ok);
    answer.textContent = pretty(text);
    answer.hidden = false;
  } catch (error) {
    status.textContent = "no answer: " + error.message;
    status.classList.add("bad");
  } finally {
    button.disabled = false;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
