/// The run was told to stop.
package struct Stopped: Error { package init() {} }
