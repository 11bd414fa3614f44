package processor_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor"
)

// TestAUserCanSetEverything: who embeds a processor can name the type of every member of
// its configuration, however deep, with the public packages alone.
func TestAUserCanSetEverything(t *testing.T) {
	named := []reflect.Type{
		reflect.TypeFor[processor.Kafka](), reflect.TypeFor[processor.KafkaSecurity](),
		reflect.TypeFor[processor.KafkaSecurityConfig](), reflect.TypeFor[processor.KafkaTokenClient](),
		reflect.TypeFor[processor.KafkaDialer](),
	}
	seen := map[reflect.Type]bool{}
	var check func(path string, of reflect.Type)
	check = func(path string, of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if seen[of] {
			return
		}
		seen[of] = true
		if strings.Contains(of.PkgPath(), "tasklane/internal/") && !slices.Contains(named, of) {
			t.Errorf("%s is a %s, which other modules cannot name", path, of)
		}
		if of.Kind() != reflect.Struct || !strings.Contains(of.PkgPath(), "aiecs/tasklane") {
			return
		}
		for n := range of.NumField() {
			if field := of.Field(n); field.IsExported() {
				check(path+"."+field.Name, field.Type)
			}
		}
	}
	check("Config", reflect.TypeFor[processor.Config]())
	check("KafkaSecurityConfig", reflect.TypeFor[processor.KafkaSecurityConfig]())
}

func TestKafkaSecurityIsChecked(t *testing.T) {
	if s, err := processor.NewKafkaSecurity(processor.KafkaSecurityConfig{}); s != nil || err != nil {
		t.Errorf("settings that ask for nothing gave %v, %v", s, err)
	}
	if _, err := processor.NewKafkaSecurity(processor.KafkaSecurityConfig{SASL: "plain"}); err == nil ||
		!strings.Contains(err.Error(), "--kafka-user") {
		t.Errorf("SASL without a user gave %v", err)
	}
}
