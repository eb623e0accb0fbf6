// Sends forms as JSON, and shows what has changed when something happens.
"use strict";

const shown = () => document.querySelector("[data-live]");

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.send) return;
  event.preventDefault();
  const fields = [...form.elements].filter((field) => field.name);
  const value = (field) => (field.type === "number" ? field.valueAsNumber : field.value);
  const body = Object.fromEntries(fields.map((field) => [field.name, value(field)]));
  const headers = { "Content-Type": "application/json", "Idempotency-Key": `"${form.dataset.key}"` };
  // The command is for what is shown here, or for nothing if somebody was faster.
  const etag = shown()?.dataset.etag;
  if (etag) headers["If-Match"] = etag;
  const said = form.querySelector("output");
  try {
    const answer = await fetch(form.action, { method: form.dataset.send, headers, body: JSON.stringify(body) });
    if (answer.ok) return location.assign(answer.headers.get("Location") ?? location.href);
    const problem = await answer.json();
    said.textContent = problem.detail ?? problem.title;
  } catch (error) {
    said.textContent = "The help desk does not answer. Send it again: it takes effect once.";
  }
});

let asked = false, again = false;
async function refresh() {
  if (!shown()) return;
  if (asked) return void (again = true);
  asked = true;
  do {
    again = false;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) continue;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("[data-live]");
    if (now) shown().replaceWith(now);
  } while (again);
  asked = false;
}

const state = document.getElementById("live-state");
if (shown()) {
  // From what the page shows on; after a break the browser goes on where it was.
  const source = new EventSource(`/api/live?after=${shown().dataset.live}`);
  source.onopen = () => (state.textContent = "Live");
  source.onmessage = refresh;
  source.onerror = () => {
    const isOver = source.readyState === EventSource.CLOSED;
    state.textContent = isOver ? "Reload the page" : "Reconnecting";
  };
}
