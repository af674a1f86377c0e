// What the pages do beside htmx: the colours, and when the live parts may change under somebody's hands.
"use strict";

const themes = { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" };

function stored() {
  try {
    return localStorage.getItem("theme") in themes ? localStorage.getItem("theme") : "auto";
  } catch {
    return "auto"; // the browser keeps nothing for us
  }
}

// Before the page is drawn, so that it is not drawn in the other colours first.
document.documentElement.dataset.theme = stored();

function setUpTheme(button) {
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = themes[theme];
  };
  button.addEventListener("click", () => {
    const names = Object.keys(themes);
    const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
    try {
      localStorage.setItem("theme", next);
    } catch {
      // It holds for this page then.
    }
    show(next);
  });
  show(stored());
  button.hidden = false;
}

// A part that somebody works in (the focus or the pointer is there, a video plays) keeps still; what came meanwhile is shown when
// they leave. Nothing moves under a hand that is about to press a button, and the focus is not lost.
const held = new Map();
let paused = false;

function isBusy(part) {
  if (paused) return true;
  // An answer has just come in, and htmx gives it the focus only in a moment: nobody has it until then.
  if (part.querySelector(".htmx-added")) return true;
  if (!("hold" in part.dataset)) return part.contains(document.activeElement);
  return (
    part.contains(document.activeElement) ||
    part.matches(":hover") ||
    [...part.querySelectorAll("video")].some((video) => !video.paused && !video.ended)
  );
}

function release() {
  for (const [part, html] of held) {
    if (!isBusy(part)) {
      held.delete(part);
      htmx.swap(part, html, { swapStyle: "innerHTML" });
    }
  }
}

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const part = event.target;
  if (isBusy(part)) {
    held.set(part, event.detail.data);
    event.preventDefault();
  } else {
    held.delete(part);
  }
});
// The focus has not moved yet when it is told that it leaves.
for (const name of ["focusout", "mouseout", "pause", "ended"]) {
  document.addEventListener(name, () => setTimeout(release), true);
}
document.addEventListener("htmx:afterSettle", () => setTimeout(release));

function setUpLive(button, connection) {
  const show = (text) => {
    if (connection.textContent !== text) connection.textContent = text;
  };
  document.addEventListener("htmx:sseOpen", () => show("Live"));
  document.addEventListener("htmx:sseError", () => show("Not live: connecting again"));
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    release();
  });
  button.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => {
  setUpTheme(document.getElementById("theme"));
  const pause = document.getElementById("pause");
  if (pause) setUpLive(pause, document.getElementById("connection"));
});
