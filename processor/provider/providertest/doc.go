// Package providertest is a local server that speaks what AI providers speak:
// OpenAI's Responses, Chat Completions, Embeddings and Images, Anthropic's Messages,
// and Vertex AI's generateContent, streaming included. What it answers, and what goes
// wrong meanwhile, is scripted by [Answer] values; without a script it repeats what it
// was asked. It needs no key and no network, and answers the same every time.
//
// The paths do not overlap, so one server stands for all of them:
//
//	OPENAI_BASE_URL=URL/v1  XAI_BASE_URL=URL/v1  ANTHROPIC_BASE_URL=URL  Vertex: base URL URL
//
// Programs that are not Go tests run it as scripts/fakeprovider and script it over HTTP:
//
//	POST   /fake/script    {"model": "", "answers": [Answer, …]}  queued; "" is for every model
//	DELETE /fake/script    forgets queued answers and closed gates
//	POST   /fake/release   {"gate": NAME}
//	POST   /fake/revoke    {"key": KEY}                            401 from now on
//	GET    /fake/requests  what was received, and how each request ended
package providertest
