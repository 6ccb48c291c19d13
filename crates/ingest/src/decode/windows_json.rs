//! Windows events in JSON: as evtx tools write them, as Winlogbeat ships them, and flattened.
