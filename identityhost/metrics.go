package identityhost

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows, from a registry of its own.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	page     http.Handler
}

func newMetrics(a *Agent, b *bodies) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kest_agent_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kest_agent_request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"route"}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.requests, m.seconds, agentCollector{a, b})
	m.page = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// agentCollector reads an agent's state when it is asked.
type agentCollector struct {
	agent  *Agent
	bodies *bodies
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("kest_agent_"+name, help, nil, nil)
}

var (
	descReady      = gauge("ready", "1 while the workload has an identity, else 0.")
	descNotAfter   = gauge("identity_not_after_seconds", "When the identity ends, in seconds since 1970; 0: it doesn't, or there is none.")
	descSessions   = gauge("sessions", "Session keys bound by this agent that hold now.")
	descUnshared   = gauge("unshared_sessions", "Those of them that the cache had no room for: no other agent finds them.")
	descClaims     = gauge("claims", "Live claims put through this agent.")
	descClaimBytes = gauge("claim_bytes", "Bytes of live claims put through this agent, with what each costs a store besides.")
	descBodyBytes  = gauge("body_bytes", "Memory held by request bodies that are being read.")
)

// Describe implements prometheus.Collector.
func (agentCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReady, descNotAfter, descSessions, descUnshared, descClaims, descClaimBytes, descBodyBytes} {
		out <- d
	}
}

// scrapeTimeout bounds how long a scrape waits for the provider.
const scrapeTimeout = time.Second

// Collect implements prometheus.Collector.
func (c agentCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	set := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	ready, notAfter := 0.0, 0.0
	if id, err := c.agent.identity(ctx); err == nil {
		ready = 1
		if !id.NotAfter.IsZero() {
			notAfter = float64(id.NotAfter.Unix())
		}
	}
	now := c.agent.now()
	count, bytes := c.agent.claims.live(now)
	set(descReady, ready)
	set(descNotAfter, notAfter)
	sessions, unshared := c.agent.table.live(now, c.agent.grace), 0
	for _, r := range sessions {
		if r.unshared {
			unshared++
		}
	}
	set(descSessions, float64(len(sessions)))
	set(descUnshared, float64(unshared))
	set(descClaims, float64(count))
	set(descClaimBytes, float64(bytes))
	set(descBodyBytes, float64(c.bodies.used.Load()))
}
