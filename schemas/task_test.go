package schemas

import (
	"reflect"
	"testing"
)

// A clone is equal and shares nothing: every member is filled in by its type, so that
// one that is added is not forgotten.
func TestCloneSharesNothing(t *testing.T) {
	task := new(Task)
	fill(t, reflect.ValueOf(task).Elem())
	clone := task.Clone()
	if !reflect.DeepEqual(task, clone) {
		t.Fatalf("%+v became %+v", task, clone)
	}
	apart(t, "task", reflect.ValueOf(task).Elem(), reflect.ValueOf(clone).Elem())
	if got := new(Task).Clone(); !reflect.DeepEqual(got, new(Task)) {
		t.Errorf("an empty task became %+v", got)
	}
}

// fill gives every member a value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(t, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	case reflect.String:
		v.SetString("text")
	case reflect.Uint8, reflect.Int, reflect.Int64, reflect.Float64:
		v.Set(reflect.ValueOf(7).Convert(v.Type()))
	default:
		t.Fatalf("a %s has no value here: add one", v.Type())
	}
}

// apart checks that two values share no memory.
func apart(t *testing.T, path string, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		if a.Kind() == reflect.Pointer {
			apart(t, path, a.Elem(), b.Elem())
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() {
				apart(t, path+"."+f.Name, a.Field(i), b.Field(i))
			}
		}
	}
}
