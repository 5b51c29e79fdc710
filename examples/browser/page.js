/** The page: ranks texts by how close their vectors are to that of a question. */

import { TextModel } from "./text_model.js";

const asked = new URLSearchParams(location.search);
const element = (id) => document.getElementById(id);

function cosine(one, other) {
  const dot = (left, right) => left.reduce((sum, value, at) => sum + value * right[at], 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

async function compare(model) {
  const texts = element("texts").value.split("\n").filter((text) => text.trim());
  const begin = performance.now();
  const query = await model.embed(element("query").value);
  const found = [];
  for (const text of texts) {
    found.push({ text, score: cosine(query, await model.embed(text)) });
  }
  const took = (performance.now() - begin) / (texts.length + 1);
  element("status").value = `${took.toFixed(1)} ms a text`;
  found.sort((one, other) => other.score - one.score);
  element("found").replaceChildren(
    ...found.map(({ text, score }) => {
      const item = document.createElement("li");
      item.textContent = `${score.toFixed(3)} ${text}`;
      return item;
    }),
  );
}

async function start() {
  const begin = performance.now();
  const model = await TextModel.load(asked.get("model"), asked.get("precision") ?? "int8");
  element("status").value = `loaded in ${Math.round(performance.now() - begin)} ms`;
  element("compare").disabled = false;
  element("compare").addEventListener("click", () => compare(model));
}

start().catch((error) => {
  element("status").value = String(error);
});
