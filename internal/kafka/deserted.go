package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Deserted reports whether a consumer group has no member, whichever of the two group protocols it speaks.
func Deserted(ctx context.Context, admin *kadm.Client, group string) (bool, error) {
	described, err := admin.DescribeGroups(ctx, group)
	if err == nil {
		err = described.Error()
	}
	switch state := described[group].State; {
	case err == nil && state != "Dead":
		return state == "Empty", nil
	case err != nil && !errors.Is(err, kerr.GroupIDNotFound):
		return false, fmt.Errorf("describe group %s: %w", group, err)
	}
	// There is none of the older protocol.
	newer, err := admin.DescribeConsumerGroups(ctx, group)
	if err == nil {
		err = newer[group].Err
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound), errors.Is(err, kerr.UnsupportedVersion):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("describe group %s: %w", group, err)
	}
	return len(newer[group].Members) == 0, nil
}
