//! Tables and properties of the fleet.
