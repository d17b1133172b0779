package cedar

import (
	"iter"
	"strconv"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// statements are a policy's permits and forbids, in the order of its text.
type statements struct {
	list    []*cedargo.Policy
	ids     []types.PolicyID
	reasons map[types.PolicyID]string // for the decisions of one statement
	all     iter.Seq2[types.PolicyID, *cedargo.Policy]
}

func statementsOf(list []*cedargo.Policy) *statements {
	s := &statements{list: list, ids: make([]types.PolicyID, len(list)), reasons: make(map[types.PolicyID]string, len(list))}
	for i, one := range list {
		s.ids[i] = types.PolicyID("policy" + strconv.Itoa(i))
		s.reasons[s.ids[i]] = reasonOf(one.Effect() == cedargo.Permit, one.Position().Line)
	}
	s.all = func(yield func(types.PolicyID, *cedargo.Policy) bool) {
		for i, one := range s.list {
			if !yield(s.ids[i], one) {
				return
			}
		}
	}
	return s
}

// All implements cedargo.PolicyIterator.
func (s *statements) All() iter.Seq2[types.PolicyID, *cedargo.Policy] { return s.all }

// reason names the statements that decided, by their line in the text.
func (s *statements) reason(allowed bool, by []types.DiagnosticReason) string {
	switch len(by) {
	case 0:
		return "no permit applies"
	case 1:
		return s.reasons[by[0].PolicyID]
	}
	return reasonOf(allowed, linesOf(by)...)
}

func reasonOf(allowed bool, lines ...int) string {
	text := "forbidden by"
	if allowed {
		text = "permitted by"
	}
	for _, line := range lines {
		text += " line " + strconv.Itoa(line)
	}
	return text
}

func linesOf(reasons []types.DiagnosticReason) []int {
	lines := make([]int, len(reasons))
	for i, r := range reasons {
		lines[i] = r.Position.Line
	}
	return lines
}
