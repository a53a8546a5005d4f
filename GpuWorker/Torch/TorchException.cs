namespace Platform.GpuWorker.Torch;

/// <summary>What a call into libtorch can end with, as <c>native/platform_torch.h</c> numbers it.</summary>
public enum TorchStatus
{
    Ok = 0,
    Error = 1,
    OutOfMemory = 2,
    Index = 3,
    Value = 4,
    Type = 5,
    NotImplemented = 6,
    StandardException = 7,
    Unknown = 8,
}

/// <summary>libtorch refused a call; the message is libtorch's own.</summary>
public class TorchException(TorchStatus status, string message) : Exception(message)
{
    public TorchStatus Status { get; } = status;

    internal static TorchException From(TorchStatus status, string message) => status switch
    {
        TorchStatus.OutOfMemory => new TorchOutOfMemoryException(message),
        TorchStatus.Index => new TorchIndexException(message),
        TorchStatus.Value => new TorchValueException(message),
        TorchStatus.Type => new TorchTypeException(message),
        TorchStatus.NotImplemented => new TorchNotImplementedException(message),
        _ => new TorchException(status, message),
    };
}

/// <summary>The device (or, on the CPU, the host) has no memory left for a tensor.</summary>
public sealed class TorchOutOfMemoryException(string message) : TorchException(TorchStatus.OutOfMemory, message);

/// <summary>An index or a dimension lies outside a tensor.</summary>
public sealed class TorchIndexException(string message) : TorchException(TorchStatus.Index, message);

/// <summary>An argument has a value that the operator does not take.</summary>
public sealed class TorchValueException(string message) : TorchException(TorchStatus.Value, message);

/// <summary>An argument has a type that the operator does not take.</summary>
public sealed class TorchTypeException(string message) : TorchException(TorchStatus.Type, message);

/// <summary>The operator has no kernel for this device or dtype.</summary>
public sealed class TorchNotImplementedException(string message) : TorchException(TorchStatus.NotImplemented, message);

/// <summary>The bridge or libtorch cannot be loaded; the message says where it was looked for and how to build it.</summary>
public sealed class TorchUnavailableException(string message, Exception? cause = null) : Exception(message, cause);
