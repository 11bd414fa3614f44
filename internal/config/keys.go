package config

import "reflect"

// Keys are all settings there are, in the order of the file. NAME stands for the
// operator's own names, [] for the members of a list.
func Keys() []string { return keysOf(reflect.TypeFor[Settings](), "") }

func keysOf(t reflect.Type, key string) []string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[scalar]()) {
		return []string{key}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return keysOf(t.Elem(), key)
	case reflect.Map:
		return keysOf(t.Elem(), key+".NAME")
	case reflect.Slice:
		return keysOf(t.Elem(), key+"[]")
	case reflect.Struct:
		var keys []string
		for i := range t.NumField() {
			keys = append(keys, keysOf(t.Field(i).Type, below(key, t.Field(i).Tag.Get("yaml")))...)
		}
		return keys
	}
	return []string{key}
}
