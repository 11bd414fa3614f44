// Package mutation switches rules of a package off and demands that its tests
// notice: a rule that nobody misses is not tested, or not needed.
//
// All mutants of a package are built into one test binary, since building takes
// longer than most tests do. Every function that a mutant changes stands there a
// second time, changed, and the original goes there when that mutant is the one
// that is switched on. No file of the package is touched: the compiler is given
// an overlay.
package mutation
