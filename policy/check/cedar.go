package check

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"kest.example/kest"
	"kest.example/kest/internal/fault"
)

// Cedar checks the text of one named policy. Lines count from the line given,
// where the text stands in the file.
func Cedar(file string, line int, policy, source string) Faults {
	c := cedarCheck{file: file, from: line - 1, policy: policy, source: source}
	if !kest.ValidPolicyName(policy) {
		c.fail(1, strconv.Quote(policy)+" is no policy name")
	}
	list, err := cedargo.NewPolicyListFromBytes(file, []byte(source))
	if err != nil {
		c.fail(errorLine(err), "not Cedar: "+strings.TrimPrefix(firstLine(err.Error()), "parser error: "))
		return c.faults
	}
	if len(list) == 0 {
		c.fail(1, "it holds no policy and could never allow")
	}
	permits := false
	for i, one := range list {
		permits = permits || one.AST().Effect == ast.EffectPermit
		end := len(source)
		if i+1 < len(list) {
			end = list[i+1].AST().Position.Offset
		}
		c.statement((*ast.Policy)(one.AST()), end)
	}
	if len(list) > 0 && !permits {
		c.fail(1, "it holds no permit and could never allow")
	}
	return c.faults.Sorted()
}

type cedarCheck struct {
	file   string
	from   int // lines of the file before the text
	policy string
	source string
	faults Faults
}

func (c *cedarCheck) fail(line int, text string) {
	c.faults = append(c.faults, fault.New(c.file, c.from+max(line, 1), text))
}

var atLine = regexp.MustCompile(`:(\d+):\d+`)

// errorLine is the line that a parser's error names.
func errorLine(err error) int {
	if m := atLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	return 1
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// statement checks one permit or forbid. Its text ends before end.
func (c *cedarCheck) statement(p *ast.Policy, end int) {
	before := len(c.faults)
	c.action(p)
	g := guesses{members: cedarShape()}
	for range 2 { // what is learned of one side of a comparison may tell the other
		for _, cond := range p.Conditions {
			g.is(cond.Body, "Bool")
			g.learn(cond.Body)
		}
	}
	for _, said := range c.typeErrors(p, &g) {
		line, text := c.explain(p, end, said)
		c.fail(line, text)
	}
	if len(c.faults) == before && p.Effect == ast.EffectPermit && neverMatches(p) {
		c.fail(p.Position.Line, "this permit can never match: its conditions contradict each other")
	}
}

// action wants a statement that is about this policy: only its own text is asked.
func (c *cedarCheck) action(p *ast.Policy) {
	own := types.NewEntityUID("Action", types.String(c.policy))
	fits := true
	switch s := p.Action.(type) {
	case ast.ScopeTypeEq:
		fits = s.Entity == own
	case ast.ScopeTypeIn:
		fits = s.Entity == own
	case ast.ScopeTypeInSet:
		fits = false
		for _, e := range s.Entities {
			fits = fits || e == own
		}
	}
	p.Action = ast.Scope{}.All() // the validator needs no second look
	if !fits {
		c.fail(p.Position.Line, "this statement can never match: it is for another action than "+own.String()+", which is asked")
	}
}

// typeErrors asks cedar-go's validator, under a schema of our context.
func (c *cedarCheck) typeErrors(p *ast.Policy, g *guesses) []string {
	text := "entity Workload; entity Resource; action " + strconv.Quote(c.policy) +
		" appliesTo {principal: [Workload], resource: [Resource], context: " + g.schema(g.members, &g.root) + "};"
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(text)); err != nil {
		return []string{"its attributes make no schema: " + firstLine(err.Error())}
	}
	resolved, err := s.Resolve()
	if err != nil {
		return []string{"its attributes make no schema: " + firstLine(err.Error())}
	}
	return flatten(validate.New(resolved, validate.WithPermissive()).Policy("", p))
}

func flatten(err error) (list []string) {
	if err == nil {
		return nil
	}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, one := range several.Unwrap() {
			list = append(list, flatten(one)...)
		}
		return list
	}
	return []string{err.Error()}
}

var quotedPath = regexp.MustCompile("attribute `([^`]+)`")

// explain finds the line of what the validator says, and says it in our words.
func (c *cedarCheck) explain(p *ast.Policy, end int, said string) (line int, text string) {
	line = p.Position.Line
	m := quotedPath.FindStringSubmatch(said)
	if m == nil {
		return line, said
	}
	path := strings.Split(m[1], ".")
	start := min(p.Position.Offset, end)
	if at := strings.Index(c.source[start:end], path[len(path)-1]); at >= 0 {
		line += strings.Count(c.source[start:start+at], "\n")
	}
	switch {
	case strings.HasPrefix(said, "unable to guarantee safety"):
		return line, "context." + m[1] + " may be absent: ask for it with has first"
	case strings.Contains(said, "in context"):
		return line, "our context has no attribute " + m[1]
	case strings.Contains(said, "entity type"):
		return line, "entities have no attributes here: " + m[1] + " is in no one's; use context"
	}
	return line, "our context has no attribute " + m[1]
}
