// Keeps the page fresh: when the server says that something on it changed, asks for it anew.
//
// The page works without this script. It tells the server which page it is, never which keys: what
// a page may hear of is for the server to say. A connection that ends is opened again, later each
// time; what changed meanwhile shows in the number of edits that the page was made at.
"use strict";
(() => {
  const PAUSE_MIN_MS = 500;
  const PAUSE_MAX_MS = 30000;
  const state = document.getElementById("live");
  let pauseMs = PAUSE_MIN_MS;
  let isRefreshing = false;
  let isStale = false;

  function show(kind, text) {
    state.hidden = false;
    state.className = "live " + kind;
    state.textContent = text;
  }

  async function refresh() {
    isStale = true;
    if (isRefreshing) return;
    isRefreshing = true;
    try {
      while (isStale) {
        isStale = false;
        const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
        if (!answer.ok) throw new Error(answer.statusText);
        put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch {
      // Perhaps a server between two lives. The page stays as it is, and the next change tries again.
      show("away", "Not up to date");
    } finally {
      isRefreshing = false;
    }
  }

  function put(fresh) {
    document.body.dataset.edits = fresh.body.dataset.edits ?? "";
    const [before, after] = [document, fresh].map((page) => page.querySelector("main"));
    if (before.innerHTML === after.innerHTML) return;
    document.title = fresh.title;
    for (const part of ["main", ".readings"]) {
      const [old, now] = [document, fresh].map((page) => page.querySelector(part));
      if (old && now) old.replaceWith(document.adoptNode(now));
    }
    document.querySelector("main").classList.add("fresh");
    show("on", "Updated " + new Date().toLocaleTimeString());
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(scheme + "//" + location.host + "/live/");
    socket.addEventListener("open", () => {
      const page = location.pathname + location.search;
      socket.send(JSON.stringify({ page, edits: document.body.dataset.edits }));
    });
    socket.addEventListener("message", (message) => {
      const { said, process } = JSON.parse(message.data);
      if (said === "watching") {
        pauseMs = PAUSE_MIN_MS;
        show("on", "Live");
        state.title = "Process " + process;
      } else if (said === "changed") {
        refresh();
      }
    });
    socket.addEventListener("close", () => {
      show("away", "Connecting …");
      // At random, so that all browsers do not come back at once.
      setTimeout(connect, pauseMs * (0.5 + Math.random() / 2));
      pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
    });
  }

  // A page that the browser shows again from its memory may be old, and its connection gone.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  connect();
})();
