//go:build e2e

package e2e

import (
	"testing"

	"kest.example/kest/test/fleet"
)

func TestEngines(t *testing.T) { fleet.RunEngines(t, fleet.Surface{Name: "envoy", Start: onEnvoy}) }
