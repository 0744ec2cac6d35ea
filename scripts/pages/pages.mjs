// Opens pages of `weir` in a browser, in two sizes, light and dark, and reads their figures back.
//
// Usage: pages.mjs FOLDER, with tune.html and tune.json, bench.html and bench.json, report.html and report.json in it.
// Leaves a picture of each beside it. Exit status 1 says what is wrong with which.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
const SIZES = [
  { width: 1280, height: 900 },
  { width: 390, height: 844 },
];

const folder = process.argv[2];
const problems = [];
const wrong = (page, what) => problems.push(`${page}: ${what}`);

/** Seconds as the pages write them. */
function time(seconds) {
  if (seconds === 0) return '0';
  if (seconds < 1e-6) return `${(seconds * 1e9).toFixed(0)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1e-2) return `${(seconds * 1e3).toFixed(2)} ms`;
  if (seconds < 1e-1) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(0)} ms`;
  return `${seconds.toFixed(2)} s`;
}

/** The numbers in texts that stand for the same figure, and may be rounded to either side. */
function isClose(text, expected) {
  const [one, other] = [text, expected].map((value) => value.split(' '));
  if (one.length === 1) return text === expected;
  if (one[1] !== other[1]) return false;
  return Math.abs(parseFloat(one[0]) - parseFloat(other[0])) <= 0.011 * Math.max(1, parseFloat(other[0]));
}

/** What a page has to say, by the text beside which it stands. */
async function expected(name) {
  const report = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));
  if (name === 'tune') {
    const within = report.within;
    return {
      cards: { 'P99 there': time(within.p99) },
      table: 'Latency at each rate that was offered',
      rows: report.steps.filter((step) => step.latency.count > 0).map((step) => time(step.latency.p99)),
      column: 4,
    };
  }
  if (name === 'bench') {
    return {
      cards: { P50: time(report.p50_micros / 1e6), P99: time(report.p99_micros / 1e6) },
      table: 'Latency by percentile',
      rows: [time(report.p99_micros / 1e6)],
      column: 4,
    };
  }
  return { cards: { 'Requests served': String(report.requests) }, rows: [], column: 0 };
}

async function look(browser, name, viewport, colorScheme) {
  const place = `${name} ${viewport.width} ${colorScheme}`;
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  page.on('console', (message) => wrong(place, `console: ${message.text()}`));
  page.on('pageerror', (error) => wrong(place, `error: ${error}`));
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) wrong(place, `request of ${request.url()}`);
  });
  await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
  const seen = await page.evaluate(() => {
    const name = (svg) => svg.getAttribute('aria-label') && svg.querySelector('title') && svg.querySelector('desc');
    const inView = (element) => {
      const box = element.getBoundingClientRect();
      return box.left >= -1 && box.right <= innerWidth + 1;
    };
    const outside = [...document.querySelectorAll('h1,h2,p,dl,figure,svg,pre,.scroll,footer')].filter((e) => !inView(e));
    const cut = [...document.querySelectorAll('svg text')].filter((text) => {
      const [own, all] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
      return own.left < all.left - 2 || own.right > all.right + 2 || own.top < all.top - 2 || own.bottom > all.bottom + 2;
    });
    // As large as it is on the screen: a picture is as wide as its page lets it be.
    const small = [...document.querySelectorAll('svg text')].filter((text) => {
      const svg = text.ownerSVGElement;
      const width = svg.getBoundingClientRect().width;
      return width > 0 && (parseFloat(getComputedStyle(text).fontSize) * width) / svg.viewBox.baseVal.width < 11;
    });
    const shown = [...document.querySelectorAll('figure')].map(
      (figure) => [...figure.querySelectorAll('svg')].filter((svg) => svg.getBoundingClientRect().width > 0).length,
    );
    // Texts over each other are not read.
    const touching = [...document.querySelectorAll('svg')].flatMap((svg) => {
      const boxes = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
      return boxes.flatMap(([one, a], index) =>
        boxes
          .slice(index + 1)
          .filter(([, b]) => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            return across > 2 && down > 6;
          })
          .map(([other]) => `${one} / ${other}`),
      );
    });
    const color = getComputedStyle(document.body);
    return {
      width: document.scrollingElement.scrollWidth,
      outside: outside.map((element) => element.tagName),
      cut: cut.map((text) => text.textContent),
      ends: [...document.querySelectorAll('p')].filter((p) => p.textContent.endsWith('…')).map((p) => p.textContent),
      small: small.map((text) => text.textContent),
      shown,
      touching,
      nameless: [...document.querySelectorAll('svg')].filter((svg) => !name(svg)).length,
      pictures: document.querySelectorAll('svg').length,
      tables: Object.fromEntries(
        [...document.querySelectorAll('table')].map((table) => [
          table.caption.textContent,
          [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
        ]),
      ),
      cards: Object.fromEntries(
        [...document.querySelectorAll('dt')].map((dt) => [dt.textContent, dt.nextElementSibling.textContent]),
      ),
      colors: [color.color, color.backgroundColor],
      scripts: document.scripts.length,
      text: document.body.innerText,
    };
  });
  if (seen.width > viewport.width) wrong(place, `is ${seen.width} wide`);
  if (seen.outside.length) wrong(place, `outside of the view: ${seen.outside}`);
  if (seen.cut.length) wrong(place, `text outside of its picture: ${seen.cut}`);
  if (seen.ends.length) wrong(place, `sentences that are cut: ${seen.ends}`);
  if (seen.small.length) wrong(place, `text of less than 11 px: ${seen.small}`);
  if (seen.shown.some((count) => count !== 1)) wrong(place, `shows ${seen.shown} pictures of each`);
  if (seen.touching.length) wrong(place, `texts over each other: ${seen.touching}`);
  if (seen.nameless) wrong(place, `${seen.nameless} pictures have no name or description`);
  if (seen.scripts) wrong(place, 'has scripts');
  if (!seen.pictures || !Object.keys(seen.tables).length) wrong(place, 'has no picture, or no table');
  if (/NaN|undefined|Infinity/.test(seen.text)) wrong(place, 'says NaN, undefined or Infinity');
  const isDark = (rgb) => rgb.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) < 384;
  if (isDark(seen.colors[1]) !== (colorScheme === 'dark') || isDark(seen.colors[0]) === isDark(seen.colors[1])) {
    wrong(place, `has the colours ${seen.colors}`);
  }
  const { cards, table, rows, column } = await expected(name);
  for (const [card, value] of Object.entries(cards)) {
    if (!seen.cards[card] || !isClose(seen.cards[card], value)) wrong(place, `${card} is ${seen.cards[card]}, not ${value}`);
  }
  rows.forEach((value, index) => {
    const cell = seen.tables[table]?.[index]?.[column - 1];
    if (!cell || !isClose(cell, value)) wrong(place, `row ${index} says ${cell}, not ${value}`);
  });
  await page.screenshot({ path: join(folder, `${name}-${viewport.width}-${colorScheme}.png`), fullPage: true });
  await context.close();
  return seen.pictures;
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
try {
  for (const name of process.argv.slice(3)) {
    for (const viewport of SIZES) {
      for (const scheme of ['light', 'dark']) {
        await look(browser, name, viewport, scheme);
      }
    }
    console.log(`${name}.html: looked at in ${SIZES.length} sizes, light and dark`);
  }
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);
