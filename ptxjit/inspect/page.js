"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (tag, attrs = {}, ...inner) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs)) {
      if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
      else if (v !== null && v !== false) e.setAttribute(k, v === true ? "" : v);
    }
    e.append(...inner.filter(x => x !== null));
    return e;
  };
  const escaped = t => t.replace(/[&<>]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const listed = at => at === -1 ? [] : Array.isArray(at) ? at : [at];
  const placeOf = new Map(data.places.map(([s, l], n) => [s + ":" + l, n]));
  const within = n => data.within[n] || [];

  // ---- what is chosen: one place; a line belongs to it if it has that place

  let chosen = null;
  const panes = [];
  const belongs = at => chosen !== null && listed(at).includes(chosen);
  const weakly = at => chosen !== null && !belongs(at) && listed(at).some(p => within(chosen).includes(p) && at === p);

  function choose(place, from) {
    chosen = place === chosen && from === "toggle" ? null : place;
    for (const p of panes) p.mark(from !== p);
    const status = document.getElementById("status");
    if (chosen === null) { status.textContent = ""; return; }
    const [s, line] = data.places[chosen];
    const seen = new Set(), found = [];
    for (const t of data.targets) {
      const mine = [];
      for (const st of t.stages) {
        const n = seen.has(st.text) ? 0 : data.texts[st.text].at.filter(belongs).length;
        seen.add(st.text);
        if (n) mine.push(`${st.name} ${n}`);
      }
      if (mine.length) found.push(`${t.name}: ${mine.join(", ")}`);
    }
    status.textContent = `${data.sources[s].name}:${line} became ` + (found.length ? found.join(" · ") + " lines" : "nothing that is left");
  }

  // ---- a list of lines with a cursor

  const WORD = /^(\s*)(\/\*[0-9a-f]+\*\/\s*)?((?:%\S+: [^=]*= )|@!?%?\w+ )?([A-Za-z_.@$][\w.$:]*)/;
  const KEYS = /\b(def|return|for|while|if|elif|else|in|lambda|import|from|as|with|not|and|or|is|None|True|False|class|yield)\b/g;

  function coloured(text, python) {
    const at = python ? text.search(/#(?=(?:[^"']*["'][^"']*["'])*[^"']*$)/) : text.search(/\/\/|^\s*[#;]/);
    const code = at < 0 ? text : text.slice(0, at), rest = at < 0 ? "" : `<i class="c">${escaped(text.slice(at))}</i>`;
    if (python) return escaped(code).replace(KEYS, '<i class="k">$1</i>') + rest;
    const m = WORD.exec(code);
    if (!m || code.trimEnd().endsWith(":")) return escaped(code) + rest;
    const before = (m[1] || "") + (m[2] || "") + (m[3] || "");
    return escaped(before) + `<i class="k">${escaped(m[4])}</i>` + escaped(code.slice(m[0].length)) + rest;
  }

  class Lines {
    constructor(pane, label) {
      this.pane = pane;
      this.body = $("div", { class: "body", tabindex: "0", role: "listbox", "aria-label": label });
      this.cursor = -1;
      this.rows = [];
      this.body.addEventListener("click", e => {
        const row = e.target.closest(".l");
        if (row && !String(getSelection())) { this.move(Number(row.dataset.n), false); this.pick("toggle"); }
      });
      this.body.addEventListener("keydown", e => this.key(e));
      this.body.addEventListener("scroll", () => this.place());
    }
    fill(html, at) {
      this.body.innerHTML = html;
      this.at = at;
      this.rows = [...this.body.querySelectorAll(".l")];
      this.cursor = -1;
      this.marked = [];
    }
    pick(how) {
      const mine = listed(this.at[this.cursor]);
      if (!mine.length) return;
      choose(mine[0], how === "toggle" && chosen === mine[0] ? "toggle" : this.pane);
    }
    move(n, show = true) {
      if (!this.rows.length) return;
      this.rows[this.cursor]?.classList.remove("here");
      this.cursor = Math.max(0, Math.min(n, this.rows.length - 1));
      const row = this.rows[this.cursor];
      row.classList.add("here");
      row.id = row.id || `${this.pane.id}-${this.cursor}`;
      this.body.setAttribute("aria-activedescendant", row.id);
      if (show) row.scrollIntoView({ block: "nearest" });
      this.pane.moved?.(this.cursor);
    }
    key(e) {
      const k = e.key;
      if (k === "ArrowDown") this.move(this.cursor + 1);
      else if (k === "ArrowUp") this.move(this.cursor - 1);
      else if (k === "PageDown") this.move(this.cursor + 20);
      else if (k === "PageUp") this.move(this.cursor - 20);
      else if (k === "Home") this.move(0);
      else if (k === "End") this.move(this.rows.length - 1);
      else if (k === "Enter" || k === " ") this.pick("toggle");
      else if (k === "Escape") choose(null, null);
      else if (k === "n" || k === "p") this.step(k === "n" ? 1 : -1);
      else return;
      e.preventDefault();
    }
    mark(scroll) {
      const old = this.marked || [];
      for (const n of old) this.rows[n]?.classList.remove("on", "weak");
      const found = [], weak = [];
      this.at.forEach((at, n) => { if (belongs(at)) found.push(n); else if (weakly(at)) weak.push(n); });
      for (const n of found) { this.rows[n].classList.add("on"); this.rows[n].setAttribute("aria-selected", "true"); }
      for (const n of old) if (!found.includes(n)) this.rows[n]?.setAttribute("aria-selected", "false");
      for (const n of weak) this.rows[n].classList.add("weak");
      this.marked = [...found, ...weak];
      this.found = found.length ? found : weak;
      this.step0 = -1;
      if (scroll && this.found.length && !this.found.some(n => this.seen(n))) this.center(this.found[0]);
      this.place();
    }
    seen(n) {
      const a = this.rows[n].getBoundingClientRect(), b = this.body.getBoundingClientRect();
      return a.bottom > b.top && a.top < b.bottom;
    }
    center(n) {
      const a = this.rows[n].getBoundingClientRect(), b = this.body.getBoundingClientRect();
      this.body.scrollTop += a.top - b.top - b.height / 3;
    }
    step(by) {
      const found = this.found || [];
      if (!found.length) return;
      const now = this.cursor;
      const next = by > 0 ? found.find(n => n > now && (n - 1 !== now || !found.includes(n - 1))) ?? found[0]
        : [...found].reverse().find(n => n < now && !found.includes(n - 1)) ?? found[found.length - 1];
      this.move(next, false);
      this.center(next);
    }
    place() {  // ticks beside the scroll bar
      const rail = this.pane.rail;
      rail.replaceChildren();
      rail.style.top = this.body.offsetTop + "px";
      const all = this.rows.length;
      if (!all) return;
      let last = -9;
      for (const n of this.found || []) {
        const y = n / all * 100;
        if (y - last < 0.6) continue;
        last = y;
        const tick = document.createElement("b");
        tick.style.top = y + "%";
        rail.append(tick);
      }
    }
  }

  let count = 0;

  // ---- the user's source

  class Source {
    constructor() {
      this.id = "pane" + ++count;
      this.lines = new Lines(this, "source lines");
      this.rail = $("div", { class: "rail", "aria-hidden": "true" });
      const options = data.targets.map((t, n) => $("option", { value: n }, t.name));
      this.target = $("select", { "aria-label": "whose run is counted", onchange: () => this.draw() }, ...options);
      this.element = $("section", { class: "pane source", id: this.id, "aria-label": "source" },
        $("div", { class: "head" }, $("h2", {}, "source"), $("span", { style: "color:var(--dim)", title: "warps that ran a line, and lanes per warp, interpreted with random inputs" }, "runs × lanes on"), this.target),
        this.lines.body, this.rail);
      this.draw();
    }
    draw() {
      const t = data.targets[Number(this.target.value)];
      const profile = t.profile;
      const most = Math.max(0.0001, ...Object.values(profile).map(c => c[2]));
      const at = [], html = [];
      data.sources.forEach((s, k) => {
        html.push(`<div class="filename">${escaped(s.name)}</div>`);
        if (s.note) html.push(`<p class="note">${escaped(s.note)}</p>`);
        const python = /\.py$|^</.test(s.name);
        let before = null;
        for (const [number, text] of s.lines) {
          if (before !== null && number !== before + 1) html.push('<div class="gap" aria-hidden="true">⋯</div>');
          before = number;
          const place = placeOf.get(k + ":" + number);
          const cell = place === undefined ? undefined : profile[place];
          const ran = cell ? `${cell[0]} × ${cell[1]}` : "";
          const title = cell ? ` title="at most ${cell[0]} warps ran an instruction of it, ${cell[1]} lanes active on average; ${(cell[2] * 100).toFixed(1)} % of all lanes' instructions"` : "";
          const heat = cell ? ` style="--h:${(cell[2] / most * 0.45).toFixed(3)}"` : "";
          html.push(`<div class="l${place === undefined ? " off" : ""}" role="option" data-n="${at.length}" data-line="${number}"><span class="g">${number}</span><span class="v"${heat}${title}>${ran}</span><span>${coloured(text, python) || " "}</span></div>`);
          at.push(place === undefined ? -1 : [place, ...within(place)]);
        }
      });
      this.lines.fill(html.join(""), at);
      this.mark(false);
    }
    mark(scroll) {
      this.lines.mark(scroll);
      if (chosen !== null) for (const [n, at] of this.lines.at.entries()) {  // a line of PTX that was made from the chosen line is weaker
        const row = this.lines.rows[n];
        if (row.classList.contains("on") && listed(at)[0] !== chosen) { row.classList.remove("on"); row.classList.add("weak"); }
        if (within(chosen).includes(listed(at)[0])) row.classList.add("weak"), this.lines.marked.push(n);
      }
    }
  }

  // ---- a level or a text of a target

  class Pane {
    constructor(target, stage) {
      this.id = "pane" + ++count;
      this.n = target;
      this.stage = stage;
      this.kernel = 0;
      this.step = 99;
      this.lines = new Lines(this, "lines");
      this.rail = $("div", { class: "rail", "aria-hidden": "true" });
      this.swatch = $("span", { class: "swatch" });
      this.select = $("select", { "aria-label": "target", onchange: e => { this.n = Number(e.target.value); this.draw(); } },
        ...data.targets.map((t, n) => $("option", { value: n }, t.name)));
      this.tabs = $("div", { class: "tabs", role: "tablist", "aria-label": "level or text", onkeydown: e => this.turn(e) });
      const close = $("button", { type: "button", title: "close this pane", "aria-label": "close this pane", onclick: () => this.close() }, "×");
      const up = $("button", { type: "button", title: "previous mark (p)", "aria-label": "previous mark", onclick: () => this.lines.step(-1) }, "▲");
      const down = $("button", { type: "button", title: "next mark (n)", "aria-label": "next mark", onclick: () => this.lines.step(1) }, "▼");
      this.extra = $("div");
      this.element = $("section", { class: "pane", id: this.id, "aria-label": "code" },
        $("div", { class: "head" }, this.swatch, this.select, $("span", { class: "step" }, up, down, close), this.tabs), this.extra, this.lines.body, this.rail);
      this.draw();
    }
    get target() { return data.targets[this.n]; }
    close() {
      panes.splice(panes.indexOf(this), 1);
      this.element.remove();
    }
    turn(e) {
      const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!by) return;
      const names = this.names();
      this.stage = names[(names.indexOf(this.stage) + by + names.length) % names.length];
      this.draw();
      this.tabs.querySelector('[aria-selected="true"]').focus();
      e.preventDefault();
    }
    names() {
      const names = this.target.stages.map(s => s.name);
      return this.target.passes.length ? ["passes", ...names] : names;
    }
    number() {  // of the text that is shown
      if (this.stage === "passes") {
        const p = this.target.passes[Math.min(this.kernel, this.target.passes.length - 1)];
        return p.steps[Math.min(this.step, p.steps.length - 1)].text;
      }
      return this.target.stages.find(s => s.name === this.stage).text;
    }
    draw() {
      if (!this.names().includes(this.stage)) this.stage = this.target.final;
      this.select.value = this.n;
      this.swatch.style.background = `var(--c${this.n % 6})`;
      this.drawTabs();
      this.extra.replaceChildren();
      let changed = new Set();
      if (this.stage === "passes") changed = this.slider();
      const text = data.texts[this.number()];
      if (text.note) this.extra.append($("p", { class: "note" }, text.note));
      if (text.live) this.extra.append(this.curve(text.live));
      const most = Math.max(1, ...(text.live || []));
      const html = text.lines.map((line, n) => {
        const live = text.live ? `<span class="b" style="--p:${(text.live[n] / most * 100).toFixed(0)}%"${text.live[n] ? ` title="${text.live[n]} words alive"` : ""}></span>` : "";
        const run = text.runs ? `<span class="v"${text.runs[n] ? ` title="${text.runs[n][0]} warps, ${text.runs[n][1]} lanes in all"` : ""}>${text.runs[n] ? `${text.runs[n][0]} × ${+(text.runs[n][1] / Math.max(1, text.runs[n][0])).toFixed(1)}` : ""}</span>` : "";
        return `<div class="l${changed.has(n) ? " new" : ""}${text.at[n] === -1 ? " off" : ""}" role="option" data-n="${n}"><span class="g">${n + 1}</span>${run}${live}<span>${coloured(data.table[line], false) || " "}</span></div>`;
      });
      this.lines.fill(html.join(""), text.at);
      this.lines.body.scrollTop = 0;
      this.lines.mark(true);
    }
    slider() {
      const passes = this.target.passes;
      this.kernel = Math.min(this.kernel, passes.length - 1);
      const p = passes[this.kernel];
      this.step = Math.min(this.step, p.steps.length - 1);
      const step = p.steps[this.step];
      const which = $("select", { "aria-label": "what the passes go over", onchange: e => { this.kernel = Number(e.target.value); this.step = 99; this.draw(); } },
        ...passes.map((q, n) => $("option", { value: n }, q.kernel)));
      which.value = this.kernel;
      const range = $("input", { type: "range", min: 0, max: p.steps.length - 1, value: this.step, "aria-label": "pass", "aria-valuetext": step.name,
        oninput: e => { this.step = Number(e.target.value); this.draw(); this.extra.querySelector("input").focus(); } });
      range.value = this.step;
      const out = $("output", {});
      out.append($("b", {}, `${this.step + 1}/${p.steps.length} ${step.name}`), ` ${step.help}` + (step.changed.length || step.gone ? `; ${step.changed.length} lines are new, ${step.gone} are gone` : ""));
      this.extra.append($("div", { class: "slider" }, which, range, out));
      return new Set(step.changed);
    }
    curve(live) {
      const w = Math.max(live.length, 2), most = Math.max(...live), NS = document.querySelector("svg")?.namespaceURI;
      const svg = document.createElementNS(NS, "svg");
      svg.setAttribute("viewBox", `0 0 ${w} 44`);
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `register pressure, at most ${most} words`);
      const path = document.createElementNS(NS, "path");
      path.setAttribute("d", `M0 44 ` + live.map((v, n) => `L${n} ${(44 - v / most * 40).toFixed(1)} L${n + 1} ${(44 - v / most * 40).toFixed(1)}`).join(" ") + ` L${w} 44 Z`);
      const cursor = document.createElementNS(NS, "line");
      cursor.setAttribute("class", "cursor");
      for (const [k, v] of [["y1", 0], ["y2", 44], ["x1", -9], ["x2", -9]]) cursor.setAttribute(k, v);
      svg.append(path, cursor);
      this.cursor = cursor;
      svg.addEventListener("click", e => {
        const r = svg.getBoundingClientRect(), n = Math.floor((e.clientX - r.left) / r.width * w);
        this.lines.move(n, false);
        this.lines.center(Math.min(n, live.length - 1));
      });
      const at = live.indexOf(most);
      return $("div", { class: "curve" }, `register pressure before allocation: at most ${most} words of 32 bits alive in a lane, at line ${at + 1}`, svg);
    }
    moved(n) {
      if (this.cursor) for (const k of ["x1", "x2"]) this.cursor.setAttribute(k, n + 0.5);
    }
    drawTabs() {
      this.tabs.replaceChildren(...this.names().map(name => {
        const text = name === "passes" ? null : this.target.stages.find(s => s.name === name).text;
        const n = text === null || chosen === null ? 0 : data.texts[text].at.filter(belongs).length;
        const on = name === this.stage;
        return $("button", { type: "button", role: "tab", "aria-selected": String(on), tabindex: on ? "0" : "-1", onclick: () => { this.stage = name; this.draw(); } },
          name, n ? $("span", { class: "n", "aria-label": `${n} marked` }, String(n)) : null);
      }));
    }
    mark(scroll) {
      this.drawTabs();
      this.lines.mark(scroll);
    }
  }

  // ---- the page

  const main = document.getElementById("panes");
  function add(pane) { panes.push(pane); main.append(pane.element); pane.lines.place(); }
  add(new Source());
  add(new Pane(0, "kernel"));
  data.targets.slice(0, 2).forEach((t, n) => add(new Pane(n, t.final)));
  document.getElementById("add").addEventListener("click", () => {
    const n = (panes.length - 2) % data.targets.length;
    add(new Pane(Math.max(0, n), data.targets[Math.max(0, n)].final));
    panes[panes.length - 1].element.scrollIntoView({ inline: "end", block: "nearest" });
  });
  const help = document.getElementById("help"), button = document.getElementById("help-button");
  button.addEventListener("click", () => { help.hidden = !help.hidden; button.setAttribute("aria-expanded", String(!help.hidden)); });
  document.addEventListener("keydown", e => { if (e.key === "Escape") choose(null, null); });
  const notes = document.getElementById("notes");
  for (const t of data.targets) for (const n of t.notes) notes.append($("li", {}, `${t.name}: ${n}`));
  addEventListener("resize", () => panes.forEach(p => p.lines.place()));
  const first = data.sources[0] ? data.sources[0].lines.map(([l]) => placeOf.get("0:" + l)).filter(p => p !== undefined) : [];
  if (first.length) choose(first[Math.min(1, first.length - 1)], null);
})();
