package host

import (
	"time"

	"kest.example/kest/plugin/proxywasm"
)

// ticker calls proxy_on_tick. The next period begins when a tick is done, so a
// slow guest gets fewer of them and never a queue.
type ticker struct {
	period time.Duration
	timer  *time.Timer
}

func (i *instance) setTickPeriod(d time.Duration) {
	i.tick.stop()
	if d > 0 && !i.dead {
		i.tick.period = d
		i.tick.timer = time.AfterFunc(d, i.onTimer)
	}
}

func (t *ticker) stop() {
	t.period = 0
	if t.timer != nil {
		t.timer.Stop()
	}
}

func (i *instance) onTimer() {
	i.filter.pool.later(i.slot, func() {
		if i.dead || i.tick.period == 0 {
			return
		}
		if _, err := i.call(proxywasm.OnTick, i.soon(), rootContext, rootContext); err == nil && i.tick.period > 0 {
			i.tick.timer.Reset(i.tick.period)
		}
	})
}
