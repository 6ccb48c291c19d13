//! Which fields records of a logsource can have, where that is known completely.
//!
//! Facts of the Sysmon 15 schema, of Windows security event 4688 and of PowerShell events 4103 and 4104, with what the
//! Sigma taxonomy and common collectors derive from them. Logsources that are not here may have any field.

use crate::sigma::Logsource;

/// Fields of the event's header, as Sigma and collectors call them.
const HEADER: &str = "EventID Provider_Name Provider_Guid Channel Computer ComputerName EventLog Level Task Opcode Keywords \
    Version EventRecordID EventType TimeCreated_SystemTime Execution_ProcessID Execution_ThreadID Correlation_ActivityID \
    Security_UserID RuleName UtcTime ProcessGuid ProcessId User host hostname Hostname Message timestamp";
/// What the Sigma taxonomy takes out of `Hashes`.
const HASHES: &str = "Hashes Hash md5 sha1 sha256 Imphash";

/// Category, and the fields of its records beside [`HEADER`].
const WINDOWS: [(&str, &str); 24] = [
    (
        "process_creation",
        "Image FileVersion Description Product Company OriginalFileName CommandLine CurrentDirectory \
        LogonGuid LogonId TerminalSessionId IntegrityLevel ParentProcessGuid ParentProcessId ParentImage ParentCommandLine \
        ParentUser NewProcessName NewProcessId ParentProcessName TokenElevationType MandatoryLabel SubjectUserSid \
        SubjectUserName SubjectDomainName SubjectLogonId TargetUserSid TargetUserName TargetDomainName TargetLogonId \
        ProcessCommandLine ProcessName HASH",
    ),
    ("file_event", "Image TargetFilename CreationUtcTime PreviousCreationUtcTime IsExecutable Archived HASH"),
    ("file_change", "Image TargetFilename CreationUtcTime PreviousCreationUtcTime"),
    ("file_delete", "Image TargetFilename IsExecutable Archived HASH"),
    ("file_block", "Image TargetFilename HASH"),
    ("file_executable_detected", "Image TargetFilename HASH"),
    (
        "image_load",
        "Image ImageLoaded FileVersion Description Product Company OriginalFileName Signed Signature \
        SignatureStatus HASH",
    ),
    ("driver_load", "ImageLoaded Signed Signature SignatureStatus HASH"),
    (
        "network_connection",
        "Image Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName \
        DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName",
    ),
    ("dns_query", "Image QueryName QueryStatus QueryResults"),
    ("registry_event", "Image TargetObject Details NewName"),
    ("registry_set", "Image TargetObject Details"),
    ("registry_add", "Image TargetObject Details"),
    ("registry_delete", "Image TargetObject Details"),
    ("registry_rename", "Image TargetObject NewName"),
    (
        "create_remote_thread",
        "SourceProcessGuid SourceProcessId SourceImage TargetProcessGuid TargetProcessId TargetImage \
        NewThreadId StartAddress StartModule StartFunction SourceUser TargetUser",
    ),
    (
        "process_access",
        "SourceProcessGUID SourceProcessId SourceThreadId SourceImage TargetProcessGUID TargetProcessId \
        TargetImage GrantedAccess CallTrace SourceUser TargetUser",
    ),
    ("process_tampering", "Image Type"),
    ("process_termination", "Image"),
    ("raw_access_thread", "Image Device"),
    ("pipe_created", "Image PipeName"),
    ("create_stream_hash", "Image TargetFilename CreationUtcTime Contents HASH"),
    ("ps_script", "MessageNumber MessageTotal ScriptBlockText ScriptBlockId Path"),
    ("ps_module", "ContextInfo UserData Payload"),
];

/// All fields of a logsource's records, each with a single value; `None` when they are not known.
pub(super) fn known(logsource: &Logsource) -> Option<Vec<&'static str>> {
    if logsource.product.as_deref() != Some("windows") || logsource.service.is_some() {
        return None;
    }
    let category = logsource.category.as_deref()?;
    let (_, own) = WINDOWS.iter().find(|(name, _)| *name == category)?;
    let own =
        own.split_whitespace().flat_map(|name| if name == "HASH" { HASHES } else { name }.split_whitespace());
    Some(HEADER.split_whitespace().chain(own).collect())
}
