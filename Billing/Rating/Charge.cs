using System.Text.Json.Serialization;

namespace Platform.Billing.Rating;

/// <summary>What a plan takes for the quantity of one meter. <c>model</c> on the wire chooses the case; more models join here.</summary>
/// <param name="Meter">The meter's key.</param>
/// <param name="DisplayName">The text of the invoice line.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "model")]
[JsonDerivedType(typeof(PerUnitCharge), "per_unit")]
public abstract record Charge(string Meter, string DisplayName);

/// <param name="UnitPrice">Exact price of one unit of the meter in the plan's currency, at most 12 decimals.</param>
public sealed record PerUnitCharge(string Meter, string DisplayName, decimal UnitPrice) : Charge(Meter, DisplayName);
