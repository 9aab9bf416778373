// What a page does: it draws charts as they come into view, sorts tables by a click, and shows what is chosen.
"use strict";
(() => {
  const config = {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: "transparent" },
    axis: {
      labelColor: "var(--muted)", titleColor: "var(--muted)", titleFontWeight: "normal", titleFontSize: 11,
      labelFontSize: 11, domainColor: "var(--line)", tickColor: "var(--line)", gridColor: "var(--line)",
      gridOpacity: 0.7, labelLimit: 120, labelOverlap: true, labelSeparation: 6, tickCount: 5,
    },
    axisY: { titleLimit: 170 }, // a long name would take all of a small chart's height
    legend: {
      labelColor: "var(--text)", titleColor: "var(--muted)", titleFontWeight: "normal", titleFontSize: 11,
      labelFontSize: 11, orient: "top", symbolStrokeWidth: 2, gradientStrokeColor: "var(--line)",
    },
    header: { labelColor: "var(--text)", titleColor: "var(--muted)", titleFontWeight: "normal" },
    title: { color: "var(--text)", subtitleColor: "var(--muted)", anchor: "start", fontSize: 13, fontWeight: 600 },
    mark: { color: "var(--plot)" },
    text: { color: "var(--text)" },
    rule: { color: "var(--muted)" },
    tick: { color: "var(--plot)" },
    bar: { color: "var(--plot)" },
    point: { filled: true, size: 40 },
    line: { strokeWidth: 2 },
    area: { opacity: 0.3 },
    rect: { color: "var(--plot)" },
    range: { category: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `var(--plot-${number})`) },
    tooltipFormat: { numberFormat: ",.4~r" },
  };
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, config,
    tooltip: { disableDefaultStyle: true },
    loader: { load: () => Promise.reject(new Error("a page loads nothing")) },
  };

  const figures = [...document.querySelectorAll("figure.chart")];
  const draw = async (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "begun";
    const place = figure.firstElementChild;
    try {
      await vegaEmbed(place, JSON.parse(figure.querySelector("script").textContent), options);
      figure.dataset.drawn = "done";
    } catch (error) {
      figure.dataset.drawn = "failed";
      place.textContent = `This chart cannot be drawn: ${error.message}`;
      console.error(error);
    }
  };
  const visible = (figure) => figure.checkVisibility?.() ?? figure.clientWidth > 0;
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && visible(entry.target)) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  figures.forEach((figure) => seen.observe(figure));

  // The others in spare time, for printing and for a search in the page. What is folded waits until it is opened.
  const idle = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 500 }) : setTimeout(work, 50));
  let drawing = false;
  const drawNext = () => {
    const next = figures.find((figure) => !figure.dataset.drawn && visible(figure));
    drawing = Boolean(next);
    if (next) draw(next).then(() => idle(drawNext));
  };
  const drawOthers = () => {
    if (!drawing && figures.length) idle(drawNext);
  };
  drawOthers();
  document.addEventListener("toggle", drawOthers, true);

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const compare = (left, right) => {
    const numbers = [left, right].map(Number);
    return numbers.every(Number.isFinite) ? numbers[0] - numbers[1] : left.localeCompare(right);
  };
  const sort = (table, column, heads) => {
    const descending = heads[column].ariaSort === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([left], [right]) => {
      if (left === "" || right === "") return (left === "") - (right === ""); // what is empty comes last
      return descending ? compare(right, left) : compare(left, right);
    });
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].ariaSort = descending ? "descending" : "ascending";
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sorted-by-click")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, heads));
      head.append(button);
    });
  }

  for (const choice of document.querySelectorAll(".choice")) {
    const [label, ...parts] = choice.children;
    const select = label.querySelector("select");
    const show = () => parts.forEach((part, index) => { part.hidden = index !== select.selectedIndex; });
    select.addEventListener("change", () => {
      show();
      drawOthers();
    });
    show();
  }
})();
