/* Screen: asks every two seconds who is called; says so aloud if it may; tells when the line is lost. */
(() => {
  "use strict";
  const root = document.querySelector(".screen");
  if (!root) return;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, name) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (name) e.className = name; return e; };
  let known = null;
  let since = null;

  /* speech is an addition: a hall without loudspeaker loses nothing */
  const voice = window.speechSynthesis;
  const button = $("speak");
  const speaking = () => button.getAttribute("aria-pressed") === "true";
  const say = (text) => {
    if (!voice || !speaking()) return;
    for (let n = 0; n < 2; n += 1) {
      const words = new SpeechSynthesisUtterance(text);
      words.lang = "zh-CN";
      words.rate = 0.9;
      voice.speak(words);
    }
  };
  const press = (on) => { button.setAttribute("aria-pressed", String(on)); button.textContent = on ? "语音已开" : "开启语音"; try { localStorage.setItem("screen-voice", on ? "1" : ""); } catch { /* private window */ } };
  if (voice && window.SpeechSynthesisUtterance) {
    button.hidden = false;
    button.addEventListener("click", () => { press(!speaking()); if (speaking()) say("语音播报已开启"); else voice.cancel(); });
    try { if (localStorage.getItem("screen-voice")) press(true); } catch { /* private window */ }
  }
  const full = $("full");
  if (document.fullscreenEnabled) {
    full.hidden = false;
    full.addEventListener("click", () => document.documentElement.requestFullscreen());
    document.addEventListener("fullscreenchange", () => { full.hidden = Boolean(document.fullscreenElement); });
  }

  const draw = (board) => {
    $("clock").textContent = board.at;
    const first = board.calls[0];
    const latest = $("latest");
    const keys = new Set(board.calls.map((c) => c.key));
    const fresh = known === null ? [] : board.calls.filter((c) => c.now && !known.has(c.key));
    const shown = first ? `${first.key}` : `none-${board.open}`;
    if (latest.dataset.key !== shown) {
      latest.dataset.key = shown;
      if (first) {
        const to = make("p", "请到 ", "to");
        to.append(make("b", String(first.counter)), " 号窗口");
        latest.replaceChildren(make("p", first.ticket, "ticket"), to);
      } else {
        latest.replaceChildren(make("p", board.open ? "请留意叫号" : "现在不是开放时间", "none"));
      }
      latest.classList.remove("fresh");
      if (fresh.length) { void latest.offsetWidth; latest.classList.add("fresh"); }
    }
    $("calls").replaceChildren(...board.calls.map((c) => {
      const row = make("li", undefined, c.now ? "now" : "");
      row.append(make("b", c.ticket), make("span", `${c.counter} 号 ${c.title}`));
      return row;
    }));
    $("queues").replaceChildren(...board.queues.map((q) => {
      const row = make("li");
      row.append(make("b", q.letter), make("span", q.title), make("em", `${q.waiting} 人${q.minutes ? `　约 ${q.minutes} 分钟` : ""}`));
      return row;
    }));
    fresh.reverse().forEach((c) => say(c.speak));
    known = keys;
  };

  const lost = $("lost");
  const tick = async () => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 5000);
    try {
      const answer = await fetch(root.dataset.now, { signal: stop.signal, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      draw(await answer.json());
      since = null;
      lost.hidden = true;
    } catch {
      since ??= new Date();
      const at = since.toTimeString().slice(0, 5);
      lost.textContent = `连接中断：屏幕上是 ${at} 以前的叫号，正在重新连接，请听工作人员叫号`;
      lost.hidden = false;
    } finally {
      clearTimeout(timer);
      setTimeout(tick, since ? 4000 : 2000);
    }
  };
  tick();
})();
