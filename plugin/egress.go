package plugin

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

// A sidecar's ingress keeps the passports of requests under way in the table
// that all VMs of one vm_id share, where its egress finds them by trace id. The
// table can't delete, so there is a fixed number of slots.
const (
	keptSlots  = 1024
	slotPrefix = "kest.kept."
	// egressMark is there once an egress runs, and what it holds spreads traces
	// over slots in a way that clients can't guess.
	egressMark = "kest.egress"
	maxSlot    = 256 << 10
	// keptFor is how long a request under way is remembered, keptAfter how long
	// one that has ended: for what it left to be done.
	keptFor   = 5 * time.Minute
	keptAfter = 5 * time.Second
	maxTries  = 16 // to write a slot that others write too
)

// keptTrace is where a passport was put.
type keptTrace struct{ slot, trace, passport string }

// record is one passport in a slot: expiry in milliseconds (8 bytes), trace id
// (32), length (4), wire form.
type record struct {
	expires         int64
	trace, passport string
}

const recordHead = 8 + 32 + 4

func parseRecords(slot []byte, now time.Time) (list []record) {
	for len(slot) >= recordHead {
		r := record{expires: int64(binary.LittleEndian.Uint64(slot)), trace: string(slot[8:40])} //nolint:gosec // a time
		n := uint64(binary.LittleEndian.Uint32(slot[40:]))
		slot = slot[recordHead:]
		if n > uint64(len(slot)) {
			return list
		}
		r.passport, slot = string(slot[:n]), slot[n:]
		if r.expires > now.UnixMilli() {
			list = append(list, r)
		}
	}
	return list
}

func appendRecord(slot []byte, r record) []byte {
	slot = binary.LittleEndian.AppendUint64(slot, uint64(r.expires)) //nolint:gosec // a time
	slot = append(slot, r.trace...)
	slot = binary.LittleEndian.AppendUint32(slot, uint32(len(r.passport))) //nolint:gosec // bounded by maxSlot
	return append(slot, r.passport...)
}

// slotOf returns the slot of a trace; ok is false where no egress runs.
func (f *Filter) slotOf(trace string) (slot string, ok bool) {
	if f.env.SharedGet == nil {
		return "", false
	}
	mark, _, ok := f.env.SharedGet(egressMark)
	if !ok {
		return "", false
	}
	sum := sha256.Sum256(append(mark, trace...))
	return slotPrefix + strconv.Itoa(int(binary.LittleEndian.Uint16(sum[:]))%keptSlots), true
}

// markEgress tells the ingress filters of this proxy that there is an egress.
func (f *Filter) markEgress() error {
	if f.env.SharedGet == nil {
		return &ConfigError{"direction", "egress needs a host with shared data"}
	}
	if _, _, ok := f.env.SharedGet(egressMark); ok {
		return nil
	}
	// What isn't there can only be written blindly, so that of two writers one
	// would win: the slots are there from the start.
	for i := range keptSlots {
		slot := slotPrefix + strconv.Itoa(i)
		if _, _, ok := f.env.SharedGet(slot); !ok && !f.env.SharedSet(slot, []byte{0}, 0) {
			return &unavailableError{"the host's shared data has no room"}
		}
	}
	mark := make([]byte, 16)
	if _, err := io.ReadFull(f.env.Random, mark); err != nil {
		return err
	}
	// 0 writes whatever is there: of several VMs that start at once the last one
	// wins, before any of them sees a request.
	f.env.SharedSet(egressMark, mark, 0)
	return nil
}

// update changes what is live in a slot; false where it can't be written.
func (f *Filter) update(slot string, change func(list []record) []record) bool {
	now := f.env.Now()
	for range maxTries {
		have, cas, _ := f.env.SharedGet(slot)
		var b []byte
		for _, r := range change(parseRecords(have, now)) {
			b = appendRecord(b, r)
		}
		if len(b) > maxSlot {
			return false
		}
		if f.env.SharedSet(slot, b, cas) {
			return true
		}
	}
	return false
}

// keepTrace remembers what was signed for the calls that the application makes
// meanwhile. Where it can't be, the request doesn't go on: its calls would lose
// their lineage.
func (x *Exchange) keepTrace() error {
	slot, ok := x.f.slotOf(x.traceID)
	if !ok {
		return nil
	}
	r := record{x.f.env.Now().Add(keptFor).UnixMilli(), x.traceID, x.signed.Lineage.Passport().String()}
	if !x.f.update(slot, func(list []record) []record { return append(list, r) }) {
		return &unavailableError{"too much is under way in this proxy to keep its lineage for egress"}
	}
	x.kept = &keptTrace{slot, r.trace, r.passport}
	return nil
}

// Ended says that the request is over, answered or gone.
func (x *Exchange) Ended() {
	x.f.Forget(x)
	if x.kept == nil {
		return
	}
	kept, until := x.kept, x.f.env.Now().Add(keptAfter).UnixMilli()
	x.kept = nil
	x.f.update(kept.slot, func(list []record) []record {
		for i, r := range list {
			if r.trace == kept.trace && r.passport == kept.passport && r.expires > until {
				list[i].expires = until
				break
			}
		}
		return list
	})
}

// egress gives a request of the application's own the lineage of what it is
// done for: what its baggage carries, else what came in under its trace id.
func (x *Exchange) egress() Step {
	c := x.f.config
	x.peer = nil // the application
	x.traceID = traceID(x.traceparent)
	var err error
	x.incoming, err = baggage.Parse(x.baggage, baggage.ReadOptions{
		MaxBytes: c.Lineage.Limits.Bytes, Entries: c.Lineage.Limits.Entries, Python: c.Propagation.Python,
	})
	switch {
	case err != nil:
		return x.failed(err)
	case !x.hostAllowed():
		return x.leave()
	case x.incoming.Claim != "":
		return x.fetchClaim()
	case x.incoming.Passport.Len() == 0 && !x.findKept():
		return x.leave()
	}
	return x.verify()
}

// findKept takes the passports that are live under the trace id. Of several all
// leaves become tips: more careful, never less.
func (x *Exchange) findKept() bool {
	slot, ok := x.f.slotOf(x.traceID)
	if !ok || x.traceID == "" {
		return false
	}
	have, _, _ := x.f.env.SharedGet(slot)
	var live []kest.Passport
	for _, r := range parseRecords(have, x.f.env.Now()) {
		if r.trace != x.traceID {
			continue
		}
		if p, err := kest.ParsePassport(r.passport); err == nil {
			live = append(live, p)
		}
	}
	if len(live) == 0 {
		return false
	}
	x.incoming.Adopt(kest.Merge(live...))
	return true
}

// leave sends the request on with nothing of kest.*.
func (x *Exchange) leave() Step {
	return Step{Kind: Continue, Edits: []Edit{{"baggage", x.incoming.Others()}}}
}

// onward writes the verified passport for the next hop.
func (x *Exchange) onward() Step {
	p := &x.f.config.Propagation
	header, claim, err := x.incoming.Write(baggage.Outgoing{
		Lineage: x.lineage, Actor: x.egressActor(), Scope: x.incoming.Scope,
	}, baggage.WriteOptions{
		MaxBytes: p.MaxBytes, Compress: p.Compress, Deflate: x.f.deflater(), Claims: x.f.hasClaim || p.ClaimCluster != "", Random: x.f.env.Random,
	})
	if err != nil {
		return x.failed(err)
	}
	if claim == nil {
		return x.finish(header)
	}
	return x.storeClaim(claim, header)
}

// egressActor is what the leaves signed of who acts, where the application's
// baggage says nothing: the next hop believes no more than that anyway.
func (x *Exchange) egressActor() kest.Actor {
	if x.incoming.Actor != (kest.Actor{}) {
		return x.incoming.Actor
	}
	tips := x.lineage.Tips()
	if len(tips) == 0 {
		return kest.Actor{}
	}
	return kest.ProvenActor(tips[0].Actor(), x.lineage)
}
