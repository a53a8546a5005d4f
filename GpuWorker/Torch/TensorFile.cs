using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Platform.GpuWorker.Torch;

/// <summary>A tensor in host memory: elements little-endian, in row-major order.</summary>
public sealed record HostTensor(DType Type, IReadOnlyList<long> Shape, byte[] Data)
{
    public static HostTensor From(Tensor tensor) => new(tensor.Type, tensor.Shape, tensor.ToBytes());
}

/// <summary>
/// Named tensors with text metadata in the safetensors layout: eight bytes little-endian length of the header, a JSON
/// header, the raw data. Reading one executes nothing, unlike a pickle.
/// </summary>
public sealed record TensorFile(
    IReadOnlyDictionary<string, string> Metadata, IReadOnlyDictionary<string, HostTensor> Tensors)
{
    private const int HeaderBytesMax = 16 * 1024 * 1024;
    private const string MetadataName = "__metadata__";

    /// <summary>Copies tensors to the host; call it on their thread.</summary>
    public static TensorFile Of(IReadOnlyDictionary<string, string> metadata, IEnumerable<NamedTensor> tensors) =>
        new(metadata, tensors.ToDictionary(tensor => tensor.Name, tensor => HostTensor.From(tensor.Value)));

    /// <summary>One tensor, copied to a device.</summary>
    /// <exception cref="InvalidDataException">There is none of that name.</exception>
    public Tensor Load(string name, TorchDevice device)
    {
        var host = Tensors.GetValueOrDefault(name) ?? throw new InvalidDataException($"The file holds no tensor {name}.");
        return Tensor.FromBytes(host.Data, host.Type, device, host.Shape.ToArray());
    }

    /// <summary>
    /// Writes the file whole or not at all: it is written under another name, forced to the disk, then renamed.
    /// </summary>
    public void Write(string path)
    {
        var header = new JsonObject
        {
            [MetadataName] = new JsonObject(
                Metadata.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)JsonValue.Create(entry.Value)))),
        };
        var offset = 0L;
        foreach (var (name, tensor) in Tensors)
        {
            header[name] = new JsonObject
            {
                ["dtype"] = NameOf(tensor.Type),
                ["shape"] = new JsonArray([.. tensor.Shape.Select(size => (JsonNode)JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(offset, offset + tensor.Data.Length),
            };
            offset += tensor.Data.Length;
        }

        // Spaces up to a multiple of eight keep the data aligned for whoever maps the file.
        var json = JsonSerializer.SerializeToUtf8Bytes(header);
        var padded = new byte[(json.Length + 7) / 8 * 8];
        padded.AsSpan().Fill((byte)' ');
        json.CopyTo(padded, 0);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, padded.Length);

        Durable.Write(path, stream =>
        {
            stream.Write(length);
            stream.Write(padded);
            foreach (var tensor in Tensors.Values)
                stream.Write(tensor.Data);
        });
    }

    /// <exception cref="InvalidDataException">The file is cut short, or is no such file.</exception>
    public static TensorFile Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            var length = new byte[8];
            stream.ReadExactly(length);
            var headerLength = BinaryPrimitives.ReadInt64LittleEndian(length);
            if (headerLength is <= 0 or > HeaderBytesMax)
                throw new InvalidDataException($"{path} is no tensor file.");

            var bytes = new byte[headerLength];
            stream.ReadExactly(bytes);
            var dataLength = stream.Length - 8 - headerLength;
            var metadata = new Dictionary<string, string>();
            var tensors = new Dictionary<string, HostTensor>();
            using var header = JsonDocument.Parse(bytes);
            foreach (var entry in header.RootElement.EnumerateObject())
            {
                if (entry.NameEquals(MetadataName))
                {
                    foreach (var text in entry.Value.EnumerateObject())
                        metadata[text.Name] = text.Value.GetString() ?? "";
                }
                else
                {
                    tensors[entry.Name] = ReadTensor(entry.Value, stream, 8 + headerLength, dataLength);
                }
            }

            return new(metadata, tensors);
        }
        catch (Exception error) when (error
            is EndOfStreamException or JsonException or KeyNotFoundException or InvalidOperationException
            or FormatException or OverflowException)
        {
            throw new InvalidDataException($"{path} is no whole tensor file: {error.Message}", error);
        }
    }

    private static HostTensor ReadTensor(JsonElement entry, FileStream stream, long dataStart, long dataLength)
    {
        var type = TypeOf(entry.GetProperty("dtype").GetString());
        var shape = entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray();
        var from = entry.GetProperty("data_offsets")[0].GetInt64();
        var to = entry.GetProperty("data_offsets")[1].GetInt64();
        var expected = shape.Aggregate(Tensor.SizeOf(type), (product, size) => checked(product * size));
        if (from < 0 || to > dataLength || to - from != expected || shape.Any(size => size < 0))
            throw new InvalidDataException($"A tensor of {expected} bytes lies at {from} to {to} of {dataLength}.");

        var data = new byte[expected];
        stream.Position = dataStart + from;
        stream.ReadExactly(data);
        return new(type, shape, data);
    }

    private static string NameOf(DType type) => type switch
    {
        DType.UInt8 => "U8",
        DType.Int32 => "I32",
        DType.Int64 => "I64",
        DType.Float32 => "F32",
        DType.Float64 => "F64",
        DType.Bool => "BOOL",
        DType.BFloat16 => "BF16",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type of the bridge."),
    };

    private static DType TypeOf(string? name) =>
        Enum.GetValues<DType>().Where(type => NameOf(type) == name).Cast<DType?>().FirstOrDefault()
            ?? throw new InvalidDataException($"'{name}' is no element type.");
}
