import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { apiKey, baseURL, failure, name, run } from "./scenario.mjs";

const compatible = createOpenAICompatible({
  name: "bothub",
  baseURL,
  apiKey,
  headers: { "Session-Id": name },
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const openai = createOpenAI({ baseURL, apiKey });
const City = z.object({ city: z.string() });
const weather = tool({ inputSchema: City, execute: async ({ city }) => `cold in ${city}` });

async function streamed(model, prompt) {
  const result = streamText({ model, prompt });
  let text = "";
  for await (const piece of result.textStream) text += piece;
  return [text, await result.finishReason, (await result.usage).outputTokens];
}

async function toolsOf(model) {
  const result = streamText({ model, prompt: "How is it?", tools: { weather }, stopWhen: isStepCount(3) });
  await result.consumeStream();
  const steps = await result.steps;
  return [await result.text, steps.flatMap((step) => step.toolResults.map((each) => each.output))];
}

await run({
  async text() {
    const first = await generateText({ model: compatible("assistant"), prompt: "count to 3" });
    const again = await generateText({ model: compatible("assistant"), prompt: "what did I say" });
    return [first.text, first.finishReason, first.usage.outputTokens, again.text];
  },
  stream: () => streamed(compatible("assistant"), "count to 3"),
  tools: () => toolsOf(compatible("gpt")),
  async schema() {
    const model = compatible("gpt");
    return (await generateText({ model, prompt: "Where?", output: Output.object({ schema: City }) })).output;
  },
  async image() {
    const image = new Uint8Array(Buffer.from("iVBORw0KGgo=", "base64"));
    const content = [
      { type: "text", text: "What is this?" },
      { type: "file", mediaType: "image/png", data: image },
    ];
    return (await generateText({ model: compatible("gpt"), messages: [{ role: "user", content }] })).text;
  },
  async embed() {
    const model = compatible.embeddingModel("embedder");
    const { embeddings, usage } = await embedMany({ model, values: ["tea", "coffee", "tea"] });
    const [tea, coffee, again] = embeddings.map((each) => each.join());
    return [tea === again, tea === coffee, embeddings[0].length, usage.tokens];
  },
  async retry() {
    const headers = { "Idempotency-Key": "retry" };
    return (await generateText({ model: compatible("writer"), prompt: "hi", headers })).text;
  },
  async errors() {
    const ask = (model, more) => failure(generateText({ model: compatible(model), prompt: "hi", ...more }));
    const unknown = await ask("nobody");
    const busy = await ask("gpt", { maxRetries: 0 });
    return [unknown, busy].map((error) => [APICallError.isInstance(error), error.statusCode, error.isRetryable]);
  },
  openai: () => streamed(openai.chat("assistant"), "count to 3"),
  responses: () => streamed(openai("assistant"), "count to 3"),
  agent: () => toolsOf(openai("writer")),
});
