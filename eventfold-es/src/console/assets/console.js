// Two things that need a script: new events in the log as they come, and the slider of an aggregate.
// Everything else works without it.
"use strict";

(() => {
  const most = 500; // rows that a page keeps

  const live = document.getElementById("live");
  if (live) {
    const rows = document.getElementById("rows");
    const state = document.getElementById("live-state");
    const pause = document.getElementById("pause");
    const url = new URL(live.dataset.live, document.baseURI);
    let last = Number(url.searchParams.get("after"));
    let source = null;
    let news = 0;

    const tell = (text) => {
      state.textContent = text;
    };

    const listen = () => {
      url.searchParams.set("after", String(last));
      source = new EventSource(url);
      pause.textContent = "Pause";
      source.onopen = () => tell("Live: new events appear at the top.");
      source.onerror = () => tell("The connection is lost; trying again.");
      source.onmessage = (message) => {
        const position = Number(message.lastEventId);
        if (position <= last) return; // told again after a lost connection
        last = position;
        news += 1;
        document.querySelectorAll(".empty").forEach((of) => of.remove());
        rows.insertAdjacentHTML("afterbegin", message.data);
        rows.firstElementChild.classList.add("new");
        while (rows.children.length > most) rows.lastElementChild.remove();
        tell(`Live: ${news} new since the page was loaded.`);
      };
      source.addEventListener("end", (message) => {
        source.close();
        source = null;
        pause.textContent = "Go on";
        tell(`Stopped: ${message.data}`);
      });
    };

    pause.hidden = false;
    pause.addEventListener("click", () => {
      if (source) {
        source.close();
        source = null;
        pause.textContent = "Go on";
        tell("Paused.");
      } else {
        listen();
      }
    });
    // A page that the browser keeps for its way back holds no connection.
    window.addEventListener("pagehide", () => source && source.close());
    window.addEventListener("pageshow", (event) => event.persisted && source && listen());
    listen();
  }

  const travel = document.querySelector("form.travel");
  if (travel) {
    const slider = travel.querySelector("input[type=range]");
    const output = travel.querySelector("output");
    const part = document.getElementById("state-part");
    const [earlier, later] = travel.querySelectorAll("a.step");
    let asked = 0;
    let timer = 0;
    travel.classList.add("scripted");

    const address = (page) => {
      const url = new URL(page, document.baseURI);
      url.search = new URLSearchParams(new FormData(travel)).toString();
      return url;
    };

    const show = async () => {
      asked += 1;
      const mine = asked;
      part.setAttribute("aria-busy", "true");
      try {
        const response = await fetch(address(travel.dataset.state));
        const text = await response.text();
        if (mine !== asked) return; // the slider has moved on
        if (response.ok) {
          part.innerHTML = text;
        } else {
          part.textContent = `The state cannot be shown (${response.status}): load the page again.`;
        }
      } catch (error) {
        if (mine === asked) part.textContent = `The state cannot be loaded: ${error.message}`;
      }
      if (mine === asked) part.removeAttribute("aria-busy");
    };

    const move = (to) => {
      slider.value = to;
      output.textContent = `${slider.value} of ${slider.max}`;
      const url = address(document.location.pathname);
      history.replaceState(null, "", url);
      clearTimeout(timer);
      timer = setTimeout(show, 60);
    };

    slider.addEventListener("input", () => move(slider.value));
    earlier.addEventListener("click", (event) => {
      event.preventDefault();
      move(Number(slider.value) - 1);
    });
    later.addEventListener("click", (event) => {
      event.preventDefault();
      move(Number(slider.value) + 1);
    });
  }
})();
