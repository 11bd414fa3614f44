// Package textanalyzer is the service chat/text_analyzer: it tells a text's
// language and sentiment, names its keywords, sums it up and moderates it. It
// works from word lists that are part of the program, so it needs no key, no
// network and no model, and the same text always gives the same answer.
//
// Sentiment is known for English (VADER), German, French, Spanish, Italian,
// Portuguese, Dutch, Polish, Russian, Ukrainian, Turkish, Arabic, Hindi,
// Chinese, Japanese and Korean (VADER's rules over own word lists). More
// languages are told apart; of those only emoji have a sentiment. A text whose
// language cannot be told is "uncertain" rather than guessed.
//
// Not guaranteed: irony, and sentiment that needs knowledge of the world.
// Moderation finds words and phrases, also disguised ones; it is a first sieve
// and no judge.
//
// Work is linear in the text's length, which is at most [MaxTextBytes], and
// stops soon after the context ends.
package textanalyzer
