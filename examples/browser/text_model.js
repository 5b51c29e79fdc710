/** Asks a LiteRT copy of a text embedding, as hub_export.litert.TextModel does in Python. */

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { Tokenizer } from "@huggingface/tokenizers";

const RUNTIME = new URL("./node_modules/@litertjs/core/wasm/", import.meta.url).href;
const INPUTS = ["input_word_ids", "input_mask", "input_type_ids"];
const FORMAT = 1;

export class TextModel {
  /**
   * @param {string} folder - address of the copy, such as /exported/NAME_text_embedding_litert/1
   * @param {string} precision - float32, float16 or int8
   * @returns {Promise<TextModel>}
   */
  static async load(folder, precision) {
    await (TextModel.runtime ??= loadLiteRt(RUNTIME));
    const [description, tokenizer] = await Promise.all([
      json(`${folder}/model.json`),
      json(`${folder}/tokenizer.json`),
    ]);
    if (description.format !== FORMAT) {
      throw new Error(`${folder}/model.json: expected format ${FORMAT}, found ${description.format}`);
    }
    const model = await loadAndCompile(`${folder}/model_${precision}.tflite`, {
      accelerator: "wasm",
    });
    return new TextModel(description, new Tokenizer(tokenizer, {}), model);
  }

  constructor(description, tokenizer, model) {
    this.description = description;
    this.tokenizer = tokenizer;
    this.model = model;
    const single = description.shapes.filter(([rows]) => rows === 1);
    this.lengths = single.map(([, length]) => length).sort((one, other) => one - other);
  }

  /**
   * @param {string} text
   * @returns {Promise<Float32Array>} its vector
   */
  async embed(text) {
    const row = this.row(text);
    const length = this.lengths.find((each) => each >= row[0].length);
    const padding = [this.description.padding, 0, 0];
    const inputs = Object.fromEntries(
      INPUTS.map((name, at) => {
        const values = new Int32Array(length).fill(padding[at]);
        values.set(row[at]);
        return [name, new Tensor(values, [1, length])];
      }),
    );
    const outputs = await this.model.run(`rows_1_length_${length}`, inputs);
    const vector = (await outputs.default.data()).slice();
    [...Object.values(inputs), ...Object.values(outputs)].forEach((each) => each.delete());
    return vector;
  }

  /** Ids, mask and type ids of a text. */
  row(text) {
    const { prompt, lower_case: lowers, max_length: longest } = this.description.reading;
    const whole = prompt + text;
    const read = lowers ? whole.toLowerCase() : whole;
    const { ids, token_type_ids: types } = this.tokenizer.encode(read, {
      return_token_type_ids: true,
    });
    const numbers = this.description.reading.numbers ?? {};
    const kept = ids.length > longest ? this.kept(read, ids, longest) : [...ids.keys()];
    const lastType = Math.max(this.description.types, 1) - 1;
    return [
      kept.map((at) => numbers[ids[at]] ?? ids[at]),
      kept.map(() => 1),
      kept.map((at) => Math.min(types[at], lastType)),
    ];
  }

  /** Which places of a row that is too long stay: those of its special tokens always. */
  kept(text, ids, longest) {
    const bare = this.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const begin = ids.findIndex((_, at) => bare.every((id, place) => ids[at + place] === id));
    const end = begin + bare.length;
    const room = longest - (ids.length - bare.length);
    const from = this.description.reading.truncation_side === "left" ? end - room : begin;
    const stays = (at) => at < begin || at >= end || (at >= from && at < from + room);
    return [...ids.keys()].filter(stays);
  }
}

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  }
  return answer.json();
}
