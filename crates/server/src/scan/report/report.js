"use strict";
// Draws the report from the JSON beside it. Only ever sets text, never markup: every string comes from hostile logs.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = {
    zh: {
      title: "离线研判报告", made: "生成于", levels: ["", "信息", "低", "中", "高", "严重"], events: "日志", files: "文件", rules: "规则", took: "用时", seconds: "秒",
      timeline: "时间线", drag: "拖动选择时间段，双击取消", tactics: "攻击战术", byAttack: "ATT&CK v18，点击筛选", hosts: "主机", topRules: "规则", findings: "告警",
      search: "搜索：标题、主机、用户、地址、字段值、文件…", shown: (a, b) => `${a} / ${b} 条`, clear: "清除筛选", time: "时间", level: "级别", what: "告警", host: "主机", who: "用户 / 来源", place: "位置",
      nothing: "没有符合条件的告警", empty: "没有发现告警", more: "显示更多", why: "为何告警", field: "字段", value: "值", asked: "规则要求", text: "（全文）", common: "共同点", of: "条日志",
      means: "含义", attack: "ATT&CK", fps: "可能的误报", refs: "参考", rule: "规则", author: "作者", until: "至", event: "日志", product: "产品",
      coverage: "读取情况", failed: "无法完整读取的文件", skipped: "不是可识别日志的文件", badRules: "未加载的规则", allRead: "所有文件均已完整读取，所有规则均已加载。", andMore: (n) => `……另有 ${n} 个`,
      stopped: "扫描中途停止，结果不完整。", capped: (a, b) => `共 ${b} 条告警，本页列出最严重的 ${a} 条；其余请用 --format ndjson 查看。`, theme: "深色 / 浅色", other: "English", from: "来自", noTactic: "未标注战术",
    },
    en: {
      title: "Triage report", made: "made", levels: ["", "Info", "Low", "Medium", "High", "Critical"], events: "Events", files: "Files", rules: "Rules", took: "Took", seconds: "s",
      timeline: "Timeline", drag: "drag to choose a time, double-click to undo", tactics: "Tactics", byAttack: "ATT&CK v18, click to filter", hosts: "Hosts", topRules: "Rules", findings: "Findings",
      search: "Search: title, host, user, address, field values, file…", shown: (a, b) => `${a} of ${b}`, clear: "Clear filters", time: "Time", level: "Level", what: "Finding", host: "Host", who: "User / source", place: "Place",
      nothing: "No finding fits these filters", empty: "Nothing was found", more: "Show more", why: "Why it fired", field: "Field", value: "Value", asked: "The rule asks", text: "(anywhere)", common: "In common", of: "events",
      means: "What it means", attack: "ATT&CK", fps: "May also be", refs: "Read more", rule: "Rule", author: "Author", until: "until", event: "Event", product: "Product",
      coverage: "Coverage", failed: "Files that could not be read whole", skipped: "Files that hold no log we know", badRules: "Rules not loaded", allRead: "Every file was read whole and every rule was loaded.", andMore: (n) => `… and ${n} more`,
      stopped: "The scan was stopped before its end: this is not all.", capped: (a, b) => `${b} findings in all; this page lists the ${a} worst. --format ndjson gives the others.`, theme: "Dark / light", other: "中文", from: "from", noTactic: "no tactic",
    },
  };
  const root = document.documentElement;
  let lang = root.lang.startsWith("zh") ? "zh" : "en";
  let w = words[lang];
  if (matchMedia("(prefers-color-scheme: dark)").matches) root.dataset.theme = "dark";

  const PAGE = 100;
  const filter = { text: "", levels: new Set(), host: null, rule: null, tactic: null, technique: null, from: null, to: null };
  let limit = PAGE;
  const opened = new Set();

  const el = (tag, props = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name === "cls" ? "class" : name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const svg = (tag, props = {}, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const two = (n) => String(n).padStart(2, "0");
  const date = (t) => { const d = new Date(t); return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`; };
  const clock = (t) => { const d = new Date(t); return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`; };
  const stamp = (t) => `${date(t)} ${clock(t)}`;
  const number = (n) => {
    if (n <= 9999) return String(n);
    return lang === "zh" ? `${(n / 10000).toFixed(n < 1e6 ? 1 : 0)} 万` : n < 1e6 ? `${(n / 1000).toFixed(1)} k` : `${(n / 1e6).toFixed(1)} M`;
  };
  const bytes = (n) => { const units = ["B", "KB", "MB", "GB", "TB"]; let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return `${n < 10 && i ? n.toFixed(1) : Math.round(n)} ${units[i]}`; };
  const titleOf = (rule) => (lang === "zh" && rule.title_zh) || rule.title;
  const badge = (level) => el("span", { cls: `badge l${level}` }, w.levels[level]);

  for (const finding of data.findings) {
    const rule = data.rules[finding.r];
    const parts = [rule.title, rule.title_zh, rule.id, finding.h, finding.u, finding.s, ...finding.g.flat()];
    for (const evidence of finding.e) { parts.push(evidence.f, evidence.p); for (const match of evidence.m) parts.push(match[0], match[1]); }
    finding.text = parts.filter(Boolean).join("\n").toLowerCase();
  }

  const fits = (finding, without) => {
    const rule = data.rules[finding.r];
    return (without === "levels" || !filter.levels.size || filter.levels.has(finding.l))
      && (without === "host" || filter.host === null || finding.h === filter.host)
      && (without === "rule" || filter.rule === null || finding.r === filter.rule)
      && (without === "tactic" || filter.tactic === null || rule.tactics.includes(filter.tactic))
      && (without === "tactic" || filter.technique === null || rule.techniques.some((pair) => pair[1] === filter.technique))
      && (without === "time" || filter.from === null || (finding.z >= filter.from && finding.t <= filter.to))
      && (!filter.text || filter.text.split(/\s+/).every((word) => finding.text.includes(word)));
  };
  const set = (change) => { Object.assign(filter, change); limit = PAGE; draw(); };

  function header() {
    const mark = svg("svg", { viewBox: "0 0 24 24", class: "mark" });
    mark.append(svg("path", { d: "M3 9 12 3l9 6H3Zm3 2h12v2H6zm1 3h2v7H7zm8 0h2v7h-2zm-4 0h2v7h-2zM4 21h16v1.5H4z", fill: "var(--accent)" }));
    return el("header", {},
      el("h1", {}, mark, `望楼 Wanglou · ${w.title}`),
      el("span", { cls: "sub" }, `${w.made} ${stamp(data.generated)} · ${data.version}`),
      el("span", { cls: "gap" }),
      el("div", { cls: "tools" },
        el("button", { onclick: () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; } }, w.theme),
        el("button", { onclick: () => { lang = lang === "zh" ? "en" : "zh"; w = words[lang]; root.lang = lang === "zh" ? "zh-CN" : "en"; draw(); } }, w.other)));
  }

  function levels() {
    const counts = [0, 0, 0, 0, 0, 0];
    for (const finding of data.findings) if (fits(finding, "levels")) counts[finding.l]++;
    const toggle = (level) => { const chosen = new Set(filter.levels); if (!chosen.delete(level)) chosen.add(level); set({ levels: chosen }); };
    const cards = [5, 4, 3, 2, 1].map((level) => el("button", {
      cls: `panel level l${level}${filter.levels.size && !filter.levels.has(level) ? " off" : ""}`, onclick: () => toggle(level), title: String(counts[level]), "aria-pressed": String(filter.levels.has(level)),
    }, el("b", {}, number(counts[level])), el("span", {}, el("i"), w.levels[level])));
    const s = data.stats;
    const facts = [[w.events, number(s.events), `${s.events} · ${bytes(s.bytes)}`], [w.files, number(s.files), s.files], [w.rules, number(s.rules_loaded), s.rules_loaded], [w.took, `${s.seconds < 10 ? s.seconds.toFixed(1) : Math.round(s.seconds)} ${w.seconds}`, s.seconds]];
    return el("div", { cls: "row levels" }, ...cards,
      el("dl", { cls: "panel facts" }, ...facts.flatMap(([name, value, exact]) => [el("dt", {}, name), el("dd", { title: exact }, value)])));
  }

  function timeline(found) {
    const height = 168, bottom = 22, top = 14, left = 44, slots = 96;
    const chart = svg("svg", { class: "chart" });
    const panel = el("section", { cls: "panel" }, el("h2", {}, w.timeline, el("small", {}, w.drag)), chart);
    if (!found.length) return panel;
    let first = Infinity, last = -Infinity;
    for (const finding of found) { first = Math.min(first, finding.t); last = Math.max(last, finding.t); }
    const steps = [1e3, 5e3, 15e3, 6e4, 3e5, 9e5, 36e5, 108e5, 432e5, 864e5, 6048e5, 2592e6, 7776e6, 31536e6, 31536e7];
    const step = steps.find((candidate) => (last - first) / candidate < slots) || steps[steps.length - 1];
    const start = Math.floor(first / step) * step;
    const many = Math.floor((last - start) / step) + 1;
    const bins = Array.from({ length: many }, () => [0, 0, 0, 0, 0, 0]);
    for (const finding of found) bins[Math.floor((finding.t - start) / step)][finding.l]++;
    const most = Math.max(1, ...bins.map((bin) => bin.reduce((a, b) => a + b, 0)));
    const paint = () => {
      const width = chart.clientWidth || 800;
      const slot = (width - left - 8) / many;
      chart.replaceChildren();
      for (const share of [0, .5, 1]) {
        const y = top + (height - top - bottom) * (1 - share);
        chart.append(svg("line", { x1: left, x2: width - 8, y1: y, y2: y }), svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, share === .5 && most === 1 ? "" : number(Math.round(most * share))));
      }
      const labels = Math.max(1, Math.min(many, Math.floor((width - left) / 150)));
      for (let i = 0; i < labels; i++) {
        const at = Math.floor((i * many) / labels);
        const t = start + at * step;
        chart.append(svg("text", { x: left + at * slot, y: height - 6 }, step >= 864e5 ? date(t) : last - start < 864e5 ? `${date(t).slice(5)} ${clock(t)}` : stamp(t).slice(5, 16)));
      }
      bins.forEach((bin, at) => {
        let y = height - bottom;
        for (const level of [5, 4, 3, 2, 1]) {
          if (!bin[level]) continue;
          const tall = Math.max(1.5, (bin[level] / most) * (height - top - bottom));
          y -= tall;
          chart.append(svg("rect", { x: left + at * slot + (slot > 3 ? .5 : 0), y, width: Math.max(1.5, slot - (slot > 3 ? 1 : 0)), height: tall, class: `b${level}` }));
        }
        const zone = svg("rect", { x: left + at * slot, y: top, width: slot, height: height - top - bottom, fill: "transparent" });
        const sum = bin.reduce((a, b) => a + b, 0);
        if (sum) zone.append(svg("title", {}, `${stamp(start + at * step)} – ${stamp(start + (at + 1) * step)}\n${sum}`));
        chart.append(zone);
      });
      let from = null;
      const brush = svg("rect", { y: top, height: height - top - bottom, class: "brush", visibility: "hidden" });
      chart.append(brush);
      const at = (event) => Math.min(width - 8, Math.max(left, event.clientX - chart.getBoundingClientRect().left));
      const time = (x) => start + ((x - left) / slot) * step;
      chart.onpointerdown = (event) => { from = at(event); chart.setPointerCapture(event.pointerId); };
      chart.onpointermove = (event) => {
        if (from === null) return;
        const to = at(event);
        for (const [name, value] of [["x", Math.min(from, to)], ["width", Math.abs(to - from)], ["visibility", "visible"]]) brush.setAttribute(name, value);
      };
      chart.onpointerup = (event) => {
        if (from === null) return;
        const to = at(event), one = Math.min(from, to), other = Math.max(from, to);
        from = null;
        if (other - one > 4) set({ from: Math.floor(time(one)), to: Math.ceil(time(other)) });
      };
      chart.ondblclick = () => set({ from: null, to: null });
    };
    requestAnimationFrame(paint);
    return panel;
  }

  function matrix() {
    const counts = new Map();
    let without = 0;
    for (const finding of data.findings) {
      if (!fits(finding, "tactic")) continue;
      const rule = data.rules[finding.r];
      if (!rule.tactics.length) without++;
      for (const uid of rule.tactics) {
        const entry = counts.get(uid) || { count: 0, techniques: new Map() };
        entry.count++;
        for (const [tactic, technique] of rule.techniques) {
          if (tactic !== uid) continue;
          const one = entry.techniques.get(technique) || { count: 0, level: 0 };
          one.count++; one.level = Math.max(one.level, finding.l);
          entry.techniques.set(technique, one);
        }
        counts.set(uid, entry);
      }
    }
    const columns = data.tactics.map(([uid, name, nameZh]) => {
      const entry = counts.get(uid);
      const techniques = entry ? [...entry.techniques].sort((a, b) => b[1].count - a[1].count).slice(0, 6) : [];
      const on = filter.tactic === uid && filter.technique === null;
      return el("div", { cls: `tactic${entry ? "" : " empty"}${on ? " on" : ""}` },
        el("button", { title: uid, onclick: () => entry && set({ tactic: on ? null : uid, technique: null }) }, el("b", {}, entry ? number(entry.count) : "·"), lang === "zh" ? nameZh : name),
        ...techniques.map(([technique, one]) => {
          const chosen = filter.technique === technique && filter.tactic === uid;
          return el("button", { cls: `tech l${one.level}${chosen ? " on" : ""}`, title: `${technique} ${data.techniques[technique] || ""}: ${one.count}`, onclick: () => set({ tactic: chosen ? null : uid, technique: chosen ? null : technique }) },
            el("span", { lang: "en" }, el("em", {}, number(one.count)), data.techniques[technique] || technique));
        }));
    });
    const note = without ? `${w.byAttack} · ${w.noTactic} ${without}` : w.byAttack;
    return el("section", { cls: "panel", id: "matrix" }, el("h2", {}, w.tactics, el("small", {}, note)), el("div", { cls: "matrix" }, ...columns));
  }

  function bars(title, kind, keyOf, nameOf, chosen) {
    const rows = new Map();
    for (const finding of data.findings) {
      const key = keyOf(finding);
      if (key === null || key === undefined || !fits(finding, kind)) continue;
      const counts = rows.get(key) || [0, 0, 0, 0, 0, 0];
      counts[finding.l]++; counts[0]++;
      rows.set(key, counts);
    }
    const weight = (counts) => counts[5] * 1e8 + counts[4] * 1e4 + counts[3] * 10 + counts[0] / 1e6;
    const sorted = [...rows].sort((a, b) => weight(b[1]) - weight(a[1])).slice(0, 200);
    const most = Math.max(1, ...sorted.map(([, counts]) => counts[0]));
    const list = sorted.map(([key, counts]) => {
      const bar = el("span", { cls: "bar" });
      for (const level of [5, 4, 3, 2, 1]) {
        if (!counts[level]) continue;
        const part = el("i", { cls: `l${level}` });
        part.style.width = `${(counts[level] / most) * 100}%`;
        bar.append(part);
      }
      const on = chosen === key;
      return el("button", { cls: on ? "on" : null, title: nameOf(key), onclick: () => set({ [kind]: on ? null : key }) }, el("span", { cls: "name" }, nameOf(key)), bar, el("span", { cls: "count", title: counts[0] }, number(counts[0])));
    });
    return el("section", { cls: "panel" }, el("h2", {}, title, el("small", {}, String(rows.size))), el("div", { cls: "bars" }, ...list));
  }

  function detail(finding) {
    const rule = data.rules[finding.r];
    const left = el("div");
    if (finding.g.length) {
      left.append(el("h3", {}, `${w.common} · ${finding.n} ${w.of}`), el("table", {}, el("tbody", {}, ...finding.g.map(([field, value]) => el("tr", {}, el("td", { cls: "mono" }, field), el("td", { cls: "mono" }, value))))));
    }
    for (const evidence of finding.e) {
      left.append(el("h3", {}, `${stamp(evidence.t)} · ${evidence.f ?? ""}${evidence.r === null ? "" : ` : ${evidence.r}`} · ${evidence.p}`));
      if (!evidence.m.length) continue;
      left.append(el("table", {},
        el("thead", {}, el("tr", {}, el("th", {}, w.field), el("th", {}, w.value), el("th", {}, w.asked))),
        el("tbody", {}, ...evidence.m.map(([field, value, pattern]) => el("tr", {}, el("td", { cls: "mono" }, field || w.text), el("td", { cls: "mono" }, el("mark", {}, value)), el("td", { cls: "mono pattern" }, pattern))))));
    }
    if (finding.n > finding.e.length) left.append(el("p", { cls: "sub" }, w.andMore(finding.n - finding.e.length)));
    const right = el("div");
    const block = (title, ...lines) => { const known = lines.filter(Boolean); if (known.length) right.append(el("h3", {}, title), ...known.map((line) => el("p", {}, line))); };
    block(w.means, (lang === "zh" && rule.desc_zh) || rule.desc);
    block(w.attack, ...rule.techniques.map(([, uid]) => `${uid} ${data.techniques[uid] || ""}`).filter((line, at, all) => all.indexOf(line) === at));
    block(w.fps, ...rule.falsepositives);
    block(w.rule, rule.id, rule.file, rule.author && `${w.author} ${rule.author}`);
    block(w.refs, ...rule.references);
    return el("div", { cls: "grid" }, left, right);
  }

  function list(found) {
    const chip = (text, change) => el("button", { cls: "chip", title: text, onclick: () => set(change) }, `${text} ✕`);
    const chips = [];
    for (const level of filter.levels) chips.push(chip(w.levels[level], { levels: new Set([...filter.levels].filter((one) => one !== level)) }));
    if (filter.host !== null) chips.push(chip(`${w.host} ${filter.host}`, { host: null }));
    if (filter.rule !== null) chips.push(chip(titleOf(data.rules[filter.rule]), { rule: null }));
    if (filter.tactic !== null) {
      const tactic = data.tactics.find(([uid]) => uid === filter.tactic);
      chips.push(chip(filter.technique ? `${filter.technique} ${data.techniques[filter.technique] || ""}` : tactic[lang === "zh" ? 2 : 1], { tactic: null, technique: null }));
    }
    if (filter.from !== null) chips.push(chip(`${stamp(filter.from)} – ${stamp(filter.to)}`, { from: null, to: null }));
    const search = el("input", { type: "search", placeholder: w.search, "aria-label": w.search, value: filter.text, id: "search" });
    search.addEventListener("input", () => { filter.text = search.value.trim().toLowerCase(); limit = PAGE; later(); });
    const body = el("tbody");
    for (const finding of found.slice(0, limit)) {
      const rule = data.rules[finding.r];
      const evidence = finding.e[0];
      const why = [...finding.g, ...(evidence ? evidence.m : [])].slice(0, 4).map(([field, value]) => (field ? `${field} = ${value}` : value)).join("  ·  ");
      const place = evidence && evidence.f ? `${evidence.f}:${evidence.r}` : "";
      const row = el("tr", { cls: `item${opened.has(finding.uid) ? " open" : ""}`, tabindex: "0" },
        el("td", { cls: "time", title: new Date(finding.t).toISOString() }, stamp(finding.t)), el("td", {}, badge(finding.l)),
        el("td", {}, titleOf(rule), finding.n > 1 ? ` ×${finding.n}` : "", el("div", { cls: "why mono" }, why)),
        el("td", { cls: "host", title: finding.h }, finding.h || ""), el("td", { cls: "who" }, [finding.u, finding.s].filter(Boolean).join(" / ")), el("td", { cls: "place mono", title: place }, el("bdi", {}, place)));
      const toggle = () => {
        if (opened.delete(finding.uid)) { row.classList.remove("open"); row.nextSibling.remove(); return; }
        opened.add(finding.uid); row.classList.add("open");
        row.after(el("tr", { cls: "detail" }, el("td", { colspan: "6" }, detail(finding))));
      };
      row.addEventListener("click", toggle);
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
      body.append(row);
      if (opened.has(finding.uid)) body.append(el("tr", { cls: "detail" }, el("td", { colspan: "6" }, detail(finding))));
    }
    return el("section", { id: "list" },
      el("div", { cls: "filters" }, el("strong", {}, w.findings), search, ...chips, chips.length || filter.text ? el("button", { cls: "chip", onclick: () => set({ text: "", levels: new Set(), host: null, rule: null, tactic: null, technique: null, from: null, to: null }) }, w.clear) : null, el("span", { cls: "count" }, w.shown(found.length, data.findings.length))),
      el("div", { cls: "table" },
        found.length ? el("table", { cls: "list" }, el("colgroup", {}, ...["time", "level", "what", "host", "who", "place"].map((name) => el("col", { cls: name }))), el("thead", {}, el("tr", {}, ...[w.time, w.level, w.what, w.host, w.who, w.place].map((name) => el("th", {}, name)))), body) : el("div", { cls: "none" }, data.findings.length ? w.nothing : w.empty),
        found.length > limit ? el("button", { cls: "more", onclick: () => { limit += PAGE * 5; draw(); } }, `${w.more} (${found.length - limit})`) : null));
  }

  function coverage() {
    const s = data.stats;
    const block = (title, items, count) => items.length ? [el("h3", {}, `${title} · ${count}`), el("ul", {}, ...items.map((item) => el("li", {}, `${item.file}: ${item.reason}`))), count > items.length ? el("p", {}, w.andMore(count - items.length)) : null] : [];
    const blocks = [...block(w.failed, s.failed, s.failed_count), ...block(w.badRules, s.rules_failed, s.rules_failed.length), ...block(w.skipped, s.skipped, s.skipped_count)];
    const open = s.failed_count > 0;
    return el("details", { cls: "panel", open: open ? "" : null }, el("summary", {}, w.coverage), ...(blocks.length ? blocks : [el("p", {}, w.allRead)]));
  }

  let timer;
  const later = () => { clearTimeout(timer); timer = setTimeout(draw, 120); };

  function draw() {
    const focused = document.activeElement && document.activeElement.id === "search" ? document.activeElement.selectionStart : null;
    const scroll = window.scrollY;
    document.title = `望楼 Wanglou · ${w.title}`;
    const found = data.findings.filter((finding) => fits(finding));
    const notes = [];
    if (data.stats.interrupted) notes.push(w.stopped);
    if (data.findings.length < data.stats.findings) notes.push(w.capped(data.findings.length, data.stats.findings));
    const known = data.findings.filter((finding) => fits(finding, "time"));
    document.getElementById("app").replaceChildren(el("main", {}, header(), ...notes.map((note) => el("div", { cls: "note" }, note)), levels(),
      el("div", { cls: "row" }, timeline(filter.from === null ? known : found)), el("div", { cls: "row" }, matrix()),
      el("div", { cls: "row half" }, bars(w.hosts, "host", (finding) => finding.h, (host) => host, filter.host), bars(w.topRules, "rule", (finding) => finding.r, (rule) => titleOf(data.rules[rule]), filter.rule)),
      list(found), coverage()));
    window.scrollTo(0, scroll);
    if (focused !== null) { const search = document.getElementById("search"); search.focus(); search.setSelectionRange(focused, focused); }
  }
  draw();
})();
