package vm

import (
	"kest.example/kest/plugin"
	"kest.example/kest/plugin/proxywasm"
)

// Tick implements proxywasm.VM.
func (v *VM) Tick(root uint32) {
	filter := v.filters[root]
	if filter == nil {
		return
	}
	filter.Tick()
	v.pump(root, nil)
}

func (v *VM) taskDone(t task, result plugin.CallResult) {
	filter := v.filters[t.root]
	if filter == nil {
		return // its root context is gone
	}
	filter.TaskDone(t.task, result)
	v.pump(t.root, nil)
}

// pump makes the calls that a filter wants for itself, and lets requests go on
// that it held. The step of the request whose callback this is, current, is
// returned for that callback to apply.
func (v *VM) pump(root uint32, current *request) (step plugin.Step, woken bool) {
	filter, away := v.filters[root], false
	for {
		tasks, list := filter.Tasks(), filter.Woken()
		if len(tasks) == 0 && len(list) == 0 {
			break
		}
		for _, t := range tasks {
			away = v.start(root, t) || away
		}
		for _, x := range list {
			if current == nil || x != current.exchange {
				away = v.wake(x) || away
				continue
			}
			if away && !v.enter(current.id) {
				return plugin.Step{}, true // refuses: its properties can't be read
			}
			away, woken = false, true
			step = x.Wake()
		}
	}
	if away && current != nil {
		v.enter(current.id)
	}
	return step, woken
}

// enter directs what follows to a context.
func (v *VM) enter(id uint32) bool {
	status := v.host.SetEffectiveContext(id)
	if status != proxywasm.OK {
		v.host.Log(proxywasm.LogError, "kest: another context can't be entered: "+status.String())
	}
	return status == proxywasm.OK
}

// start makes a task's call in the root context, which outlives every request.
// It reports whether it left the context that it was called in.
func (v *VM) start(root uint32, t *plugin.Task) (left bool) {
	if !v.enter(root) {
		v.filters[root].TaskDone(t, plugin.CallResult{})
		return false
	}
	id, status := v.host.HTTPCall(t.Call.Cluster, pairsOf(t.Call.Headers), t.Call.Body, t.Call.Timeout)
	if status != proxywasm.OK {
		v.host.Log(proxywasm.LogError, "kest: the call to "+t.Call.Cluster+" could not be made: "+status.String())
		v.filters[root].TaskDone(t, plugin.CallResult{})
		return true
	}
	v.tasks[id] = task{root, t}
	return true
}

// wake lets a request that was held go on, if it is still there: in its own
// context, whose properties say who the peer and the user are. It reports
// whether it left the context that it was called in.
func (v *VM) wake(x *plugin.Exchange) (left bool) {
	for id, r := range v.requests {
		if r.exchange != x {
			continue
		}
		if !v.enter(id) {
			return true // held for ever; the host ends it
		}
		step := x.Wake()
		if step.Kind != plugin.Hold && v.apply(r, step) == proxywasm.Continue {
			v.goOn()
		}
		return true
	}
	return false
}

func pairsOf(headers []plugin.Header) []proxywasm.Pair {
	pairs := make([]proxywasm.Pair, len(headers))
	for i, h := range headers {
		pairs[i] = proxywasm.Pair{Name: h.Name, Value: h.Value}
	}
	return pairs
}
