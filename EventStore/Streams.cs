using NodaTime;

namespace Platform.EventStore;

/// <summary>Names one stream. The tenant is part of the name, so no query can forget it.</summary>
/// <param name="Type">What the stream is about, in snake_case: <c>invoice</c>, <c>job</c>. Permanent.</param>
public readonly record struct StreamId(Guid TenantId, string Type, Guid Id);

/// <summary>One event as it was recorded.</summary>
/// <param name="Version">1 for the first event of its stream, without a gap.</param>
/// <param name="Position">Where a reader of the lane is after this event.</param>
/// <param name="Data">The event, of the type registered for <paramref name="TypeName"/>.</param>
public sealed record RecordedEvent(
    StreamId Stream, long Version, LanePosition Position, string TypeName, object Data, EventMetadata Metadata);

/// <summary>
/// A place in the order of all events. Numbers grow in commit order within a lane and say nothing between lanes; all
/// streams of a tenant share a lane.
/// </summary>
public readonly record struct LanePosition(short Lane, long Number);

/// <param name="RecordedAt">The database's clock when the event was appended; never decreases within a lane.</param>
/// <param name="CorrelationId">Shared by everything that one request or message set in motion.</param>
/// <param name="CausationId">The message or request that led to this event directly.</param>
/// <param name="Actor">Who did it: an API key's id, a worker's id, or a process's name.</param>
public sealed record EventMetadata(Instant RecordedAt, Guid? CorrelationId, Guid? CausationId, string? Actor);

/// <summary>Who and what caused a write; becomes the metadata of its events and messages.</summary>
public sealed record Cause(Guid? CorrelationId, Guid? CausationId, string? Actor)
{
    public static readonly Cause Unknown = new(null, null, null);
}

/// <summary>State of a stream and the version it was folded up to; version 0 and the initial state for a missing stream.</summary>
public sealed record Loaded<TState>(TState State, long Version)
{
    public bool Exists => Version > 0;
}

/// <summary>Somebody else appended first; load again and decide again. <see cref="EventStore.Decide"/> does so by itself.</summary>
public sealed class VersionConflictException(StreamId stream, long expected)
    : Exception($"Stream {stream.Type}/{stream.Id} is no longer at version {expected}.")
{
    public StreamId Stream { get; } = stream;
    public long Expected { get; } = expected;
}
