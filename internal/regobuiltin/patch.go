package regobuiltin

import "strings"

// jsonPatch applies operations of RFC 6902, with paths as OPA reads them: text
// with slashes, of which those in front don't count, or an array of keys. Sets
// have paths too: an element is its own key.
func jsonPatch(c *call) *Value {
	p := patch{call: *c, root: c.args[0], had: c.args[0].kind}
	for _, operation := range p.arg(1, array).items {
		p.apply(operation)
	}
	v := p.copy(p.root)
	c.failed = p.failed
	return v
}

type patch struct {
	call
	root *Value // nil once it has been removed
	had  kind   // of the first root, unless that was removed

	// What is done where.
	does  action
	path  []*Value
	value *Value // to put there, or what was found there
}

type action uint8

const (
	look action = iota
	remove
	put
)

// operations by their names, each with the member that says where it looks and
// removes.
var operations = [...]struct {
	name, from                  string
	tests, looks, removes, puts bool
}{
	{name: "add", from: "path", puts: true},
	{name: "remove", from: "path", removes: true},
	{name: "replace", from: "path", removes: true, puts: true},
	{name: "move", from: "from", looks: true, removes: true, puts: true},
	{name: "copy", from: "from", looks: true, puts: true},
	{name: "test", from: "path", tests: true, looks: true},
}

// apply makes one operation. What fails notes it, and then nothing more happens.
func (p *patch) apply(operation *Value) {
	name, value := operation.get("op"), operation.get("value")
	for i := range operations {
		o := &operations[i]
		if name == nil || name.kind != str || name.text != o.name {
			continue
		}
		from := operation.get(o.from)
		if o.looks {
			found := p.edit(look, from, nil)
			if o.tests && (value == nil || p.failed || compare(found, value) != 0) {
				p.fail()
			}
			value = found
		}
		if o.removes {
			p.edit(remove, from, nil)
		}
		if o.puts {
			p.edit(put, operation.get("path"), value)
		}
		return
	}
	p.fail()
}

// edit makes one edit, and returns a copy of what was found, where it looks.
func (p *patch) edit(does action, path, value *Value) *Value {
	p.does, p.path, p.value = does, p.keys(path), value
	depth := len(p.path)
	switch {
	case p.failed || does == put && value == nil || p.root == nil && (does != put || depth > 0):
		return p.fail()
	case depth > 0:
		// OPA's tree stays made for what was there at first, and breaks on another.
		if p.had <= array && (p.root.kind != array || p.had != array && (does != remove || depth > 1)) {
			return p.fail()
		}
		p.root = p.in(p.root, 0)
	case does == put:
		p.root = value
	case does == remove:
		p.root, p.had = nil, null
	default:
		p.value = p.root
	}
	if does != look {
		return nil
	}
	return p.copy(p.value)
}

// keys reads a path.
func (p *patch) keys(path *Value) []*Value {
	if path != nil && path.kind == array {
		return path.items
	}
	list := &Value{}
	if path == nil || path.kind != str {
		p.fail()
	} else if path.text != "" {
		for _, part := range strings.Split(strings.TrimLeft(path.text, "/"), "/") {
			list.push(stringValue(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")))
		}
	}
	return list.items
}

// in makes the edit in v, which is at a depth of the path, and returns what v becomes.
func (p *patch) in(v *Value, depth int) *Value {
	if depth == len(p.path) {
		p.value = v
		return v
	}
	if v.kind < array || !p.spend(len(v.items)+1) {
		return p.fail()
	}
	n := v.clone()
	n.items = append([]*Value(nil), v.items...)
	key, at, ok := p.path[depth], 0, false
	if v.kind == array {
		at = p.index(key, len(v.items))
		ok = at < len(v.items)
		if n.was == nil {
			n.was = v
		}
	} else {
		at, ok = v.find(key)
	}
	switch {
	case p.does == look || depth < len(p.path)-1:
		if !ok {
			return p.fail()
		}
		if item := p.in(p.child(n, at), depth+1); !p.failed {
			n.put(at, item, key)
		}
	case p.does == remove:
		if !ok {
			return p.fail()
		}
		p.shift(n, at, -1)
		n.cut(at)
	case at > len(v.items) || v.kind == set && compare(key, p.value) != 0:
		return p.fail()
	default:
		if v.kind == array {
			p.shift(n, at-1, 1)
		}
		if v.kind == array || !ok {
			n.insert(at, p.value)
		}
		n.put(at, p.value, key)
	}
	return n
}

// put has item be at a place, found by a key.
func (v *Value) put(at int, item, key *Value) {
	item = item.clone() // the same one may be elsewhere
	item.key = key
	if v.kind != set {
		v.items[at] = item
		return
	}
	v.cut(at)
	v.add(item)
}

//go:noinline
func (v *Value) cut(at int) { v.items = append(v.items[:at], v.items[at+1:]...) }

// child is the item of v at a place. In an array whose item there has not been
// touched, which has no key then, OPA takes the one that was there at first, and
// puts it in its place.
func (p *patch) child(v *Value, at int) *Value {
	item := v.items[at]
	switch {
	case v.kind == set:
		return p.copy(item) // an element loses what OPA knows of it
	case v.kind == object || item != nil && item.key != nil:
		return item
	case at >= len(v.was.items):
		p.fail()
		return item
	}
	p.shift(v, at, -1)
	p.shift(v, at, 1)
	return v.was.items[at]
}

// shift does to the items of an array behind a place what OPA does when it moves
// them: of those that have been touched, a scalar that comes where a composite
// was is lost, and OPA breaks on it when it next moves it or makes a value of it.
func (p *patch) shift(v *Value, at, by int) {
	if v.kind != array {
		return
	}
	n := len(v.items)
	for k := range n - at - 1 {
		i := at + 1 + k
		if by < 0 {
			i = n - 1 - k // in an order in which the next has not been looked at
		}
		item := v.items[i]
		if item == nil {
			p.fail()
			return
		}
		if next := i + by; item.key != nil && item.kind < array && next > at && next < n {
			if other := v.items[next]; other != nil && other.key != nil && other.kind >= array {
				v.items[i] = nil
			}
		}
	}
}

// copy makes one of v that knows nothing of edits. What it makes counts, so that
// what is copied again and again has an end.
func (p *patch) copy(v *Value) *Value {
	n := &Value{}
	if v == nil || p.failed {
		p.fail() // a lost one, for one
		return n
	}
	n.kind, n.text = v.kind, v.text
	for _, item := range v.items {
		if !p.spend(1) {
			break
		}
		made := p.copy(item)
		if n.kind == object {
			made.key = item.key
		}
		n.push(made)
	}
	return n
}

// index returns the place in an array that a key names: n where it is "-".
func (p *patch) index(key *Value, n int) int {
	if key.kind == str && key.text == "-" {
		return n
	}
	i, ok := plainInteger(key.text)
	if !ok || i < 0 || key.kind != number && (key.kind != str || key.text != "0" && key.text[0] == '0') {
		p.fail()
		return 0
	}
	return i
}
