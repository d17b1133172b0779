package host

import "kest.example/kest/plugin/proxywasm"

// fnGetSharedData reads from the shared table.
//
//	key address, size, data address (out), size address (out), cas address (out)
//	NotFound: no such key
func (i *instance) fnGetSharedData(p params) proxywasm.Status {
	key, ok := i.readString(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	value, cas, s := i.filter.shared.get(key)
	if s != proxywasm.OK {
		return s
	}
	if s := i.giveBytes(value, p[2], p[3]); s != proxywasm.OK {
		return s
	}
	return i.writeUint32(p[4], cas)
}

// fnSetSharedData writes to the shared table.
//
//	key address, size, value address, size, cas
//	CASMismatch: cas is neither 0 nor the stored one. InternalFailure: the table is full.
func (i *instance) fnSetSharedData(p params) proxywasm.Status {
	key, ok := i.readString(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	value, ok := i.read(p[2], p[3])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	return i.filter.shared.set(key, value, p[4])
}

// fnGetProperty reads an attribute of the request or of the plugin.
//
//	path address, size, data address (out), size address (out)
//	NotFound: no such property. BadArgument: a malformed path.
func (i *instance) fnGetProperty(p params) proxywasm.Status {
	raw, ok := i.read(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	path, err := proxywasm.ParsePath(raw)
	if err != nil {
		return proxywasm.BadArgument
	}
	value, ok := i.property(path)
	if !ok {
		return proxywasm.NotFound
	}
	return i.giveBytes(value, p[2], p[3])
}

// fnSetProperty publishes an attribute of the request; see State.
//
//	path address, size, value address, size
//	NotFound: no request. BadArgument: a malformed path, or over the bounds of State.
func (i *instance) fnSetProperty(p params) proxywasm.Status {
	raw, ok := i.read(p[0], p[1])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	value, ok := i.read(p[2], p[3])
	if !ok {
		return proxywasm.InvalidMemoryAccess
	}
	s := i.stream()
	if s == nil {
		return proxywasm.NotFound
	}
	path, err := proxywasm.ParsePath(raw)
	if err != nil {
		return proxywasm.BadArgument
	}
	return s.state.set(proxywasm.JoinPath(path...), string(value))
}
