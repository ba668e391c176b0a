import OpenAI, { toFile } from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { HI, apiKey, baseURL, failure, run } from "./scenario.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const City = z.object({ city: z.string() });
const ask = (content) => [{ role: "user", content }];

async function told(promise) {
  const error = await failure(promise);
  return { name: error.constructor.name, status: error.status, code: error.code, param: error.param };
}

await run({
  // As LettaBot's document has it.
  async chat() {
    const response = await client.chat.completions.create({ model: "assistant", messages: HI });
    const again = await client.chat.completions.create({ model: "assistant", messages: ask("what did I say") });
    return [response.choices[0].message.content, again.choices[0].message.content, response.usage.completion_tokens];
  },
  async stream() {
    const stream = await client.chat.completions.create({
      model: "assistant",
      messages: HI,
      stream: true,
      stream_options: { include_usage: true },
    });
    const told = { text: "", finish: [], usage: null };
    for await (const chunk of stream) {
      told.text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) told.finish.push(chunk.choices[0].finish_reason);
      told.usage = chunk.usage?.completion_tokens ?? told.usage;
    }
    return told;
  },
  async tools() {
    const runner = client.chat.completions.runTools({
      model: "gpt",
      stream: true,
      messages: ask("How is it?"),
      tools: [zodFunction({ name: "weather", parameters: City, function: ({ city }) => `cold in ${city}` })],
    });
    return [await runner.finalContent(), await runner.finalFunctionToolCallResult()];
  },
  async schema() {
    const answer = await client.chat.completions.parse({
      model: "gpt",
      messages: ask("Where?"),
      response_format: zodResponseFormat(City, "city"),
    });
    return answer.choices[0].message.parsed;
  },
  async embed() {
    const made = await client.embeddings.create({ model: "embedder", input: ["tea", "coffee", "tea"] });
    const [tea, coffee, again] = made.data.map((each) => each.embedding.join());
    return [tea === again, tea === coffee, made.data[0].embedding.length, made.usage.total_tokens];
  },
  async files() {
    const file = await toFile(Buffer.from("tea costs 3.50"), "note.txt");
    const made = await client.files.create({ file, purpose: "user_data" });
    const content = [{ type: "file", file: { file_id: made.id } }];
    await client.chat.completions.create({ model: "gpt", messages: [{ role: "user", content }] });
    const text = await (await client.files.content(made.id)).text();
    return [made.filename, text, (await client.files.delete(made.id)).deleted];
  },
  async transcription() {
    const file = await toFile(Buffer.from("OggS rest"), "note.ogg", { type: "audio/ogg" });
    return (await client.audio.transcriptions.create({ model: "scribe", file })).text;
  },
  async responses() {
    const first = await client.responses.create({ model: "assistant", input: "count to 3" });
    const stream = client.responses.stream({
      model: "assistant",
      input: "what did I say",
      previous_response_id: first.id,
    });
    let text = "";
    for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
    return [first.output_text, text, (await stream.finalResponse()).output_text];
  },
  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return [names, (await client.models.retrieve("drafter")).owned_by];
  },
  async errors() {
    const wrong = new OpenAI({ baseURL, apiKey: "sk-nobody", maxRetries: 0 });
    const create = (model, more) => client.chat.completions.create({ model, messages: HI, ...more });
    return [
      await told(create("assistant", { temperature: 7 })),
      await told(wrong.chat.completions.create({ model: "assistant", messages: HI })),
      await told(create("nobody")),
      await told(create("gpt")),
      await told(create("gpt", { stream: true })),
    ];
  },
  async retry() {
    const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
    const response = await patient.chat.completions.create({ model: "writer", messages: HI });
    return response.choices[0].message.content;
  },
});
