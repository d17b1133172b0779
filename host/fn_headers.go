package host

import "kest.example/kest/plugin/proxywasm"

// readable finds a header map to look at. BadArgument: it isn't there, as
// trailers never are, or the response before it came.
func (i *instance) readable(t proxywasm.MapType) ([]proxywasm.Pair, proxywasm.Status) {
	s := i.stream()
	switch {
	case t == proxywasm.RequestHeaders && s != nil:
		return s.request.pairs, proxywasm.OK
	case t == proxywasm.ResponseHeaders && s != nil && s.response.pairs != nil:
		return s.response.pairs, proxywasm.OK
	case t == proxywasm.HTTPCallResponseHeaders && i.answer != nil:
		return i.answer.headers, proxywasm.OK
	case t == proxywasm.HTTPCallResponseTrailers && i.answer != nil:
		return i.answer.trailers, proxywasm.OK
	}
	return nil, proxywasm.BadArgument
}

// writable finds a header map to change: only that of the phase that is being
// judged, for what has gone on is out of the guest's hands.
func (i *instance) writable(t proxywasm.MapType) *headerMap {
	s := i.stream()
	switch {
	case s == nil:
	case t == proxywasm.RequestHeaders && s.phase == phaseRequest:
		return &s.request
	case t == proxywasm.ResponseHeaders && s.phase == phaseResponse:
		return &s.response
	}
	return nil
}

// fnGetHeaderMapSize tells how long the serialised map is.
//
//	map, size address (out)
func (i *instance) fnGetHeaderMapSize(p params) proxywasm.Status {
	pairs, s := i.readable(proxywasm.MapType(p[0]))
	if s != proxywasm.OK {
		return s
	}
	return i.writeUint32(p[1], uint32(len(proxywasm.AppendPairs(nil, pairs)))) //nolint:gosec // the server bounds headers
}

// fnGetHeaderMapPairs returns a map, serialised (see proxywasm.AppendPairs).
//
//	map, data address (out), size address (out)
func (i *instance) fnGetHeaderMapPairs(p params) proxywasm.Status {
	pairs, s := i.readable(proxywasm.MapType(p[0]))
	if s != proxywasm.OK {
		return s
	}
	i.scratch = proxywasm.AppendPairs(i.scratch[:0], pairs)
	return i.giveBytes(i.scratch, p[1], p[2])
}

// fnSetHeaderMapPairs replaces a whole map.
//
//	map, data address, size
//	BadArgument: not writable now, malformed, or a name or value that HTTP doesn't allow. Nothing is changed then.
func (i *instance) fnSetHeaderMapPairs(p params) proxywasm.Status {
	m := i.writable(proxywasm.MapType(p[0]))
	if m == nil {
		return proxywasm.BadArgument
	}
	pairs, s := i.readPairs(p[1], p[2])
	if s != proxywasm.OK {
		return s
	}
	return m.setAll(pairs)
}

// fnGetHeaderMapValue returns one header; of repeated ones the first, as Envoy does.
//
//	map, name address, name size, data address (out), size address (out)
//	NotFound: no such header
func (i *instance) fnGetHeaderMapValue(p params) proxywasm.Status {
	pairs, s := i.readable(proxywasm.MapType(p[0]))
	if s != proxywasm.OK {
		return s
	}
	name, ok := i.readString(p[1], p[2])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	m := headerMap{pairs: pairs, pseudo: requestPseudo}
	if n := m.name(name); n != "" {
		name = n
	}
	value, ok := m.get(name)
	if !ok {
		return proxywasm.NotFound
	}
	return i.giveBytes([]byte(value), p[3], p[4])
}

// edit reads what the three functions below have in common.
func (i *instance) edit(p params, value bool, f func(m *headerMap, name, value string) proxywasm.Status) proxywasm.Status {
	m := i.writable(proxywasm.MapType(p[0]))
	if m == nil {
		return proxywasm.BadArgument
	}
	name, ok := i.readString(p[1], p[2])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	text := ""
	if value {
		if text, ok = i.readString(p[3], p[4]); !ok {
			return proxywasm.InvalidMemoryAccess
		}
	}
	return f(m, name, text)
}

// fnAddHeaderMapValue adds a header beside those of its name.
//
//	map, name address, name size, value address, value size
//	BadArgument: not writable now, not valid HTTP, or too many
func (i *instance) fnAddHeaderMapValue(p params) proxywasm.Status {
	return i.edit(p, true, (*headerMap).add)
}

// fnReplaceHeaderMapValue leaves exactly one header of a name.
//
//	map, name address, name size, value address, value size
//	BadArgument: not writable now, or not valid HTTP
func (i *instance) fnReplaceHeaderMapValue(p params) proxywasm.Status {
	return i.edit(p, true, (*headerMap).replace)
}

// fnRemoveHeaderMapValue removes all headers of a name; none is OK too.
//
//	map, name address, name size
//	BadArgument: not writable now, or no name
func (i *instance) fnRemoveHeaderMapValue(p params) proxywasm.Status {
	return i.edit(p, false, func(m *headerMap, name, _ string) proxywasm.Status { return m.remove(name) })
}
