package avp

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/verifiedpermissions"
	"github.com/aws/aws-sdk-go-v2/service/verifiedpermissions/types"

	"kest.example/kest"
	"kest.example/kest/internal/cedarcontext"
	"kest.example/kest/internal/jcs"
)

func (e *Engine) question(policy string, c *kest.Context) (*verifiedpermissions.IsAuthorizedInput, error) {
	if !kest.ValidPolicyName(policy) {
		return nil, &kest.MemberError{Member: "policy", Detail: strconv.Quote(policy) + " is no policy name"}
	}
	record, err := cedarcontext.Of(c)
	if err != nil {
		return nil, err
	}
	resource := c.Object.ID
	if resource == "" {
		resource = "*"
	}
	return &verifiedpermissions.IsAuthorizedInput{
		PolicyStoreId: &e.store,
		Principal:     entity("Workload", c.Subject.Workload),
		Action:        &types.ActionIdentifier{ActionType: aws.String("Action"), ActionId: &policy},
		Resource:      entity("Resource", resource),
		Context:       &types.ContextDefinitionMemberContextMap{Value: attributes(&record)},
	}, nil
}

func entity(kind, id string) *types.EntityIdentifier {
	return &types.EntityIdentifier{EntityType: &kind, EntityId: &id}
}

func attributes(record *jcs.Value) map[string]types.AttributeValue {
	m := make(map[string]types.AttributeValue, record.Len())
	for i := range record.Items() {
		item := &record.Items()[i]
		m[item.Name] = attribute(&item.Value)
	}
	return m
}

// attribute turns what cedarcontext.Of leaves into AWS's form.
func attribute(v *jcs.Value) types.AttributeValue {
	switch v.Kind() {
	case jcs.Bool:
		return &types.AttributeValueMemberBoolean{Value: v.IsTrue()}
	case jcs.Number:
		i, _ := v.Int()
		return &types.AttributeValueMemberLong{Value: i}
	case jcs.Array:
		list := make([]types.AttributeValue, v.Len())
		for i := range v.Items() {
			list[i] = attribute(&v.Items()[i].Value)
		}
		return &types.AttributeValueMemberSet{Value: list}
	case jcs.Object:
		return &types.AttributeValueMemberRecord{Value: attributes(v)}
	}
	return &types.AttributeValueMemberString{Value: v.Str()}
}
