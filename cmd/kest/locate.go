package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"kest.example/kest/plugin"
	"kest.example/kest/policy/check"
)

// locator finds the line of a member in a JSON or YAML file; JSON is YAML, too.
type locator struct {
	file string
	root ast.Node
}

func newLocator(c console, path string) *locator {
	l := &locator{file: path}
	text, err := c.read(path)
	if err != nil {
		return l
	}
	if doc, err := parser.ParseBytes(text, 0); err == nil && len(doc.Docs) > 0 {
		l.root = doc.Docs[0].Body
	}
	return l
}

// fault says where a configuration's error stands.
func (l *locator) fault(err error) *check.Fault {
	if broken, ok := errors.AsType[*plugin.ConfigError](err); ok {
		return &check.Fault{File: l.file, Line: l.line(broken.Path), Text: strings.TrimPrefix(err.Error(), "configuration: ")}
	}
	return &check.Fault{File: l.file, Line: 1, Text: err.Error()}
}

// line returns where the member of a path such as routes[2].match.path stands,
// or the deepest one on the way to it that is there. The text of a block scalar
// begins a line later.
func (l *locator) line(path string) int {
	line, at := 1, l.root
	for path != "" && at != nil {
		var next ast.Node
		if index, rest, ok := cutIndex(path); ok {
			if list, isList := at.(*ast.SequenceNode); isList && index < len(list.Values) {
				next, path = list.Values[index], rest
				line = next.GetToken().Position.Line
			}
		} else {
			next, path, line = member(at, path, line)
		}
		at = next
	}
	if literal, ok := at.(*ast.LiteralNode); ok && literal.Value != nil {
		return literal.Start.Position.Line + 1
	}
	return line
}

func cutIndex(path string) (index int, rest string, ok bool) {
	if !strings.HasPrefix(path, "[") {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(path[1:], "]")
	index, err := strconv.Atoi(number)
	return index, strings.TrimPrefix(rest, "."), ok && err == nil
}

// member finds the longest member name that the path begins with: names may have dots.
func member(at ast.Node, path string, line int) (next ast.Node, rest string, found int) {
	var values []*ast.MappingValueNode
	switch n := at.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	}
	best := ""
	for _, v := range values {
		name := v.Key.GetToken().Value
		after, ok := strings.CutPrefix(path, name)
		if !ok || len(name) < len(best) || after != "" && after[0] != '.' && after[0] != '[' {
			continue
		}
		best, next, rest, line = name, v.Value, strings.TrimPrefix(after, "."), v.Key.GetToken().Position.Line
	}
	return next, rest, line
}
