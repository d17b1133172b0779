package aws

import (
	"strings"

	"kest.example/kest"
)

// The variables that name a Bedrock agent and its key (CONTRACT 8).
const (
	AgentIDVariable      = "AWS_BEDROCK_AGENT_ID"
	AgentAliasIDVariable = "AWS_BEDROCK_AGENT_ALIAS_ID"
	AgentKeyIDVariable   = "KEST_BEDROCK_KMS_KEY_ID"
)

// OpenAgentCore makes the provider of a Bedrock AgentCore agent, whose id is
// bedrock://ACCOUNT/agent/ID/alias/ALIAS. lookup finds a variable, such as
// os.LookupEnv does; ACCOUNT is what STS says. Like Open it calls nobody. Where
// variables are missing its error is a *MissingError; each wraps kest.ErrConfiguration.
func OpenAgentCore(lookup func(name string) (string, bool), options ...Option) (*Provider, error) {
	value := map[string]string{}
	var missing []string
	for _, name := range []string{AgentIDVariable, AgentAliasIDVariable, AgentKeyIDVariable} {
		if value[name], _ = lookup(name); value[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, &MissingError{missing}
	}
	for _, name := range []string{AgentIDVariable, AgentAliasIDVariable} {
		if !isAgentID(value[name]) {
			return nil, configurationError(name + " is no id: letters, digits, - and _ only, at most 64")
		}
	}
	return open(value[AgentKeyIDVariable], func(c caller) (string, error) {
		return "bedrock://" + c.account + "/agent/" + value[AgentIDVariable] + "/alias/" + value[AgentAliasIDVariable], nil
	}, options)
}

// MissingError names the variables that an AgentCore identity lacks.
type MissingError struct{ Variables []string }

func (e *MissingError) Error() string {
	return "aws: an AgentCore identity needs more: set " + strings.Join(e.Variables, " and ")
}

func (e *MissingError) Unwrap() error { return kest.ErrConfiguration }

// isAgentID keeps out what would change the shape of the workload's id.
func isAgentID(s string) bool {
	const allowed = "-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return len(s) <= 64 && strings.Trim(s, allowed) == ""
}
