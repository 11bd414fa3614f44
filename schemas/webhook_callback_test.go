package schemas

import "testing"

func TestCallbackPort(t *testing.T) {
	for port, want := range map[string]bool{
		"": true, ":1": true, ":80": true, ":0080": true, ":9999": true, ":10000": true, ":59999": true, ":64999": true,
		":65499": true, ":65535": true,
		":": false, ":0": false, ":00000": false, ":65536": false, ":65540": false, ":65600": false, ":66000": false,
		":70000": false, ":99999": false, ":100000": false, ":-1": false,
	} {
		for _, host := range []string{"http://a", "https://[::1]"} {
			for _, path := range []string{"", "/", "/hook#fragment"} {
				url := host + port + path
				if problem := CheckCallbackURL(url); (problem == "") != want {
					t.Errorf("%s: %q", url, problem)
				}
			}
		}
	}
}
