package kest

import (
	"maps"
	"strconv"
)

// unknownOrigin is what an origin that nobody registered scores at a root (spec 6.4).
const unknownOrigin = 10

// builtinOrigins are the scores of CONTRACT 4. They can't be overridden.
var builtinOrigins = map[string]int{
	"system": 100, "internal": 100, "verified_rag": 90, "third_party_api": 60,
	"user_input": 40, "internet": 10, "llm": 0,
}

// defaultSource is the source type of a hop that names none.
const defaultSource = "internal"

// Origins maps origin names to trust scores from 0 to 100. The zero value
// holds the built-in ones of CONTRACT 4.
type Origins struct{ extra map[string]int }

// NewOrigins registers further origins beside the built-in ones. It is an
// error to override one of those, or to give a score outside 0 to 100.
func NewOrigins(extra map[string]int) (Origins, error) {
	for name, score := range extra {
		if _, ok := builtinOrigins[name]; ok {
			return Origins{}, configurationError("origin " + strconv.Quote(name) + " is built in and can't be overridden")
		}
		if name == "" || score < 0 || score > 100 {
			return Origins{}, configurationError("origin " + strconv.Quote(name) + " needs a score from 0 to 100")
		}
	}
	return Origins{maps.Clone(extra)}, nil
}

// Score returns an origin's score and whether it is known.
func (o Origins) Score(name string) (score int, known bool) {
	if score, known = builtinOrigins[name]; known {
		return score, true
	}
	score, known = o.extra[name]
	return score, known
}

// root returns what a root of that origin scores at most.
func (o Origins) root(name string) int {
	if score, known := o.Score(name); known {
		return score
	}
	return unknownOrigin
}

// self returns what a hop of that source type scores on its own (spec 6.4).
func (o Origins) self(name string) int {
	if score, known := o.Score(name); known {
		return score
	}
	return 100
}

// TrustEvaluator computes the score of a node that is no root from its own
// score and its parents' ones, all from 0 to 100 (F-TS-05).
type TrustEvaluator interface {
	Calculate(self int, parents []int) int
}

// DefaultTrust is min(parents) × self / 100, rounded down (F-TS-02).
type DefaultTrust struct{}

// Calculate implements TrustEvaluator.
func (DefaultTrust) Calculate(self int, parents []int) int {
	return clamp(lowest(parents) * clamp(self) / 100)
}

// WeightedTrust blends the lowest parent's score with the hop's own: Weight
// percent of min(parents) × self / 100 and the rest of min(parents), never
// more than min(parents).
type WeightedTrust struct{ Weight int }

// Calculate implements TrustEvaluator.
func (w WeightedTrust) Calculate(self int, parents []int) int {
	weight, low := clamp(w.Weight), lowest(parents)
	return clamp((low*clamp(self)*weight/100 + low*(100-weight)) / 100)
}

// lowest returns the smallest score; 100 of none, so that self alone counts.
func lowest(scores []int) int {
	low := 100
	for _, s := range scores {
		low = min(low, s)
	}
	return low
}

func clamp(score int) int { return max(0, min(100, score)) }
