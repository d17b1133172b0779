package table

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"kest.example/kest/internal/fault"
	"kest.example/kest/internal/jcs"
)

// document is a YAML text as JSON, and the lines of what faults name.
type document struct {
	value *jcs.Value
	top   map[string]int
	cases []caseLines
}

type caseLines struct {
	line    int
	members map[string]int
}

func parseYAML(path string, text []byte) (*document, *Fault) {
	broken := func(err error) *Fault {
		line, said := 1, strings.Join(strings.Fields(yaml.FormatError(err, false, false)), " ")
		if at, ok := errors.AsType[yaml.Error](err); ok && at.GetToken() != nil {
			line, said = at.GetToken().Position.Line, at.GetMessage()
		}
		return fault.New(path, line, said)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, broken(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fault.New(path, 1, "the file holds no table, or more than one")
	}
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, broken(err)
	}
	v, err := jcs.Parse(j)
	if err != nil {
		return nil, broken(err)
	}
	d := &document{value: v, top: make(map[string]int)}
	d.find(file.Docs[0].Body)
	return d, nil
}

func (d *document) find(body ast.Node) {
	for _, m := range membersOf(body) {
		d.top[m.Key.String()] = m.Key.GetToken().Position.Line
		list, ok := m.Value.(*ast.SequenceNode)
		if !ok || m.Key.String() != "cases" {
			continue
		}
		for _, item := range list.Values {
			c := caseLines{item.GetToken().Position.Line, make(map[string]int)}
			for _, m := range membersOf(item) {
				c.members[m.Key.String()] = m.Key.GetToken().Position.Line
			}
			if line := c.members["name"]; line > 0 {
				c.line = line
			}
			d.cases = append(d.cases, c)
		}
	}
}

func membersOf(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// caseLine is where a case stands.
func (d *document) caseLine(i int) int {
	if i < len(d.cases) {
		return d.cases[i].line
	}
	return max(d.top["cases"], 1)
}

// line is where a member stands: of the case at a line, or of the table at 0.
func (d *document) line(at int, name string) int {
	if at == 0 {
		return max(d.top[name], 1)
	}
	for _, c := range d.cases {
		if c.line == at && c.members[name] > 0 {
			return c.members[name]
		}
	}
	return at
}
