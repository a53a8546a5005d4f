using System.Text.Json;
using System.Text.Json.Serialization;

namespace Platform.Contracts;

/// <summary>A customer of the platform. Every stream, row and message belongs to one.</summary>
[JsonConverter(typeof(IdConverter<TenantId>))]
public readonly record struct TenantId(Guid Value) : IId<TenantId>
{
    /// <summary>The operator's own tenant: it owns the catalog, the fleet and the operator's API keys.</summary>
    public static readonly TenantId Operator = new(new Guid("00000000-0000-7000-8000-000000000001"));

    public static TenantId New() => new(Guid.CreateVersion7());
    public static TenantId From(Guid value) => new(value);
    public static bool TryParse(string? text, out TenantId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<ApiKeyId>))]
public readonly record struct ApiKeyId(Guid Value) : IId<ApiKeyId>
{
    public static ApiKeyId New() => new(Guid.CreateVersion7());
    public static ApiKeyId From(Guid value) => new(value);
    public static bool TryParse(string? text, out ApiKeyId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<PlanId>))]
public readonly record struct PlanId(Guid Value) : IId<PlanId>
{
    public static PlanId New() => new(Guid.CreateVersion7());
    public static PlanId From(Guid value) => new(value);
    public static bool TryParse(string? text, out PlanId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<MeterId>))]
public readonly record struct MeterId(Guid Value) : IId<MeterId>
{
    public static MeterId New() => new(Guid.CreateVersion7());
    public static MeterId From(Guid value) => new(value);
    public static bool TryParse(string? text, out MeterId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<ProductId>))]
public readonly record struct ProductId(Guid Value) : IId<ProductId>
{
    public static ProductId New() => new(Guid.CreateVersion7());
    public static ProductId From(Guid value) => new(value);
    public static bool TryParse(string? text, out ProductId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<PriceId>))]
public readonly record struct PriceId(Guid Value) : IId<PriceId>
{
    public static PriceId New() => new(Guid.CreateVersion7());
    public static PriceId From(Guid value) => new(value);
    public static bool TryParse(string? text, out PriceId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<CostRateId>))]
public readonly record struct CostRateId(Guid Value) : IId<CostRateId>
{
    public static CostRateId New() => new(Guid.CreateVersion7());
    public static CostRateId From(Guid value) => new(value);
    public static bool TryParse(string? text, out CostRateId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<AddOnId>))]
public readonly record struct AddOnId(Guid Value) : IId<AddOnId>
{
    public static AddOnId New() => new(Guid.CreateVersion7());
    public static AddOnId From(Guid value) => new(value);
    public static bool TryParse(string? text, out AddOnId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<SubscribedAddOnId>))]
public readonly record struct SubscribedAddOnId(Guid Value) : IId<SubscribedAddOnId>
{
    public static SubscribedAddOnId New() => new(Guid.CreateVersion7());
    public static SubscribedAddOnId From(Guid value) => new(value);
    public static bool TryParse(string? text, out SubscribedAddOnId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<SubscriptionId>))]
public readonly record struct SubscriptionId(Guid Value) : IId<SubscriptionId>
{
    public static SubscriptionId New() => new(Guid.CreateVersion7());
    public static SubscriptionId From(Guid value) => new(value);
    public static bool TryParse(string? text, out SubscriptionId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<InvoiceId>))]
public readonly record struct InvoiceId(Guid Value) : IId<InvoiceId>
{
    public static InvoiceId New() => new(Guid.CreateVersion7());
    public static InvoiceId From(Guid value) => new(value);
    public static bool TryParse(string? text, out InvoiceId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<PaymentId>))]
public readonly record struct PaymentId(Guid Value) : IId<PaymentId>
{
    public static PaymentId New() => new(Guid.CreateVersion7());
    public static PaymentId From(Guid value) => new(value);
    public static bool TryParse(string? text, out PaymentId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<PaymentMethodId>))]
public readonly record struct PaymentMethodId(Guid Value) : IId<PaymentMethodId>
{
    public static PaymentMethodId New() => new(Guid.CreateVersion7());
    public static PaymentMethodId From(Guid value) => new(value);
    public static bool TryParse(string? text, out PaymentMethodId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<CouponId>))]
public readonly record struct CouponId(Guid Value) : IId<CouponId>
{
    public static CouponId New() => new(Guid.CreateVersion7());
    public static CouponId From(Guid value) => new(value);
    public static bool TryParse(string? text, out CouponId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>One use of a coupon's code by a tenant.</summary>
[JsonConverter(typeof(IdConverter<CouponRedemptionId>))]
public readonly record struct CouponRedemptionId(Guid Value) : IId<CouponRedemptionId>
{
    public static CouponRedemptionId New() => new(Guid.CreateVersion7());
    public static CouponRedemptionId From(Guid value) => new(value);
    public static bool TryParse(string? text, out CouponRedemptionId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<TaxRateId>))]
public readonly record struct TaxRateId(Guid Value) : IId<TaxRateId>
{
    public static TaxRateId New() => new(Guid.CreateVersion7());
    public static TaxRateId From(Guid value) => new(value);
    public static bool TryParse(string? text, out TaxRateId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<CreditGrantId>))]
public readonly record struct CreditGrantId(Guid Value) : IId<CreditGrantId>
{
    public static CreditGrantId New() => new(Guid.CreateVersion7());
    public static CreditGrantId From(Guid value) => new(value);
    public static bool TryParse(string? text, out CreditGrantId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<CreditNoteId>))]
public readonly record struct CreditNoteId(Guid Value) : IId<CreditNoteId>
{
    public static CreditNoteId New() => new(Guid.CreateVersion7());
    public static CreditNoteId From(Guid value) => new(value);
    public static bool TryParse(string? text, out CreditNoteId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>One try to pay back what a payment brought.</summary>
[JsonConverter(typeof(IdConverter<RefundId>))]
public readonly record struct RefundId(Guid Value) : IId<RefundId>
{
    public static RefundId New() => new(Guid.CreateVersion7());
    public static RefundId From(Guid value) => new(value);
    public static bool TryParse(string? text, out RefundId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(IdConverter<JobId>))]
public readonly record struct JobId(Guid Value) : IId<JobId>
{
    public static JobId New() => new(Guid.CreateVersion7());
    public static JobId From(Guid value) => new(value);
    public static bool TryParse(string? text, out JobId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>One try at running a job on one worker. Two attempts of a job never run at once.</summary>
[JsonConverter(typeof(IdConverter<AttemptId>))]
public readonly record struct AttemptId(Guid Value) : IId<AttemptId>
{
    public static AttemptId New() => new(Guid.CreateVersion7());
    public static AttemptId From(Guid value) => new(value);
    public static bool TryParse(string? text, out AttemptId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>One worker machine. It keeps its id and its signing key across restarts.</summary>
[JsonConverter(typeof(IdConverter<WorkerId>))]
public readonly record struct WorkerId(Guid Value) : IId<WorkerId>
{
    public static WorkerId New() => new(Guid.CreateVersion7());
    public static WorkerId From(Guid value) => new(value);
    public static bool TryParse(string? text, out WorkerId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>One run of a worker's process. A new session ends what the sessions before it were running.</summary>
[JsonConverter(typeof(IdConverter<WorkerSessionId>))]
public readonly record struct WorkerSessionId(Guid Value) : IId<WorkerSessionId>
{
    public static WorkerSessionId New() => new(Guid.CreateVersion7());
    public static WorkerSessionId From(Guid value) => new(value);
    public static bool TryParse(string? text, out WorkerSessionId id) => Id.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>
/// What every id can do. Two ids of different kinds cannot be swapped by accident:
/// <c>Find(tenant, invoice)</c> does not compile as <c>Find(invoice, tenant)</c>.
/// </summary>
public interface IId<TSelf> where TSelf : struct, IId<TSelf>
{
    Guid Value { get; }

    static abstract TSelf From(Guid value);
}

internal static class Id
{
    /// <summary>An empty id is never valid: it is what forgetting to set one looks like.</summary>
    public static bool TryParse<TId>(string? text, out TId id) where TId : struct, IId<TId>
    {
        var parsed = Guid.TryParse(text, out var value) && value != Guid.Empty;
        id = parsed ? TId.From(value) : default;
        return parsed;
    }
}

public sealed class IdConverter<TId> : JsonConverter<TId> where TId : struct, IId<TId>
{
    public override TId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Id.TryParse<TId>(reader.GetString(), out var id)
            ? id
            : throw new JsonException($"Not a valid {typeof(TId).Name}: a non-empty UUID is expected.");

    public override void Write(Utf8JsonWriter writer, TId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}
