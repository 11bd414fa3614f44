package textanalyzer

// Language is in every result. Code is ISO 639-1 or "uncertain"; Confidence
// runs from 0 to 1. A language given with the task has confidence 1.
type Language struct {
	Code       string  `json:"language"`
	Confidence float64 `json:"language_confidence"`
	// Note says what the sender should know about how it was done.
	Note string `json:"note,omitzero"`
}

// Analysis is the result of analyze_text.
type Analysis struct {
	Language
	Sentiment Sentiment `json:"sentiment"`
	// Keywords are at most ten, the best first.
	Keywords []string `json:"keywords"`
}

// SentimentResult is the result of analyze_sentiment.
type SentimentResult struct {
	Language
	Sentiment Sentiment `json:"sentiment"`
}

// KeywordResult is the result of extract_keywords.
type KeywordResult struct {
	Language
	Keywords []string `json:"keywords"`
}

// Moderation is the result of moderate. Categories are harassment, hate,
// illicit, self_harm, sexual and violence; Matches are the first twenty places.
type Moderation struct {
	Language
	Flagged    bool     `json:"flagged"`
	Categories []string `json:"categories"`
	Matches    []Match  `json:"matches"`
}

// Summary is the result of summarize: sentences of the text, in its order.
type Summary struct {
	Language
	Summary string `json:"summary"`
}
