// Package regex matches regular expressions of the syntax and with the results
// of Go's package regexp (RE2: leftmost-first), in a tenth of its code: the
// package is for guests, whose code size is judged.
//
// A search takes time linear in the text, and what one call may take of time and
// memory is bounded. What Go's package can do and this one can't is an error,
// never another result: patterns and programs beyond the limits below, and
// classes \p{…} other than the categories L, Lu, Ll, M, N, Nd, P, S and Z.
package regex

// The limits of one pattern and of one call.
const (
	MaxPattern = 16 << 10 // bytes
	MaxDepth   = 200      // of groups in groups
	MaxProgram = 10_000   // instructions
	MaxSteps   = 1 << 23  // of the machine, a fraction of a second
	MaxOutput  = 1 << 20  // bytes that Replace gives
)

// Error is an error of this package.
type Error string

func (e Error) Error() string { return string(e) }

// The errors.
const (
	ErrSyntax = Error("regex: the pattern is malformed, or of a kind that isn't done")
	ErrLarge  = Error("regex: the pattern or what it makes is too large")
	ErrSteps  = Error("regex: the search takes too long")
)

// Regexp is a compiled pattern. It is immutable.
type Regexp struct {
	program []instruction
	start   int
	names   []string // of the groups; the first is the whole match
}

// Compile reads a pattern. The error is ErrSyntax or ErrLarge.
func Compile(pattern string) (*Regexp, error) {
	p := parser{s: pattern, names: make([]string, 1)}
	tree := p.whole()
	if p.err != "" {
		return nil, p.err
	}
	c := compiler{program: make([]instruction, 1, 32)}
	start := c.emit(tree, 0)
	if len(c.program) > MaxProgram {
		return nil, ErrLarge
	}
	return &Regexp{program: c.program, start: start, names: p.names}, nil
}
