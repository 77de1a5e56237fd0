/**
 * Who may call what, written down once more beside the endpoints: a role added to, or lost from, a declaration is seen here.
 * That the declarations are obeyed is tested with each endpoint (`endpoints.contract.test.ts`).
 */
import { endpoints } from '../../routes';

/** What the shop's settings and the state of a row narrow further is not of interest here. */
const MATRIX: Readonly<Record<string, string>> = {
  public: `
    loginStaff login loginCustomer registerCustomer register logout refreshSession getCsrfToken requestPasswordReset
    resetPassword createAdminAppointment listServiceOperations receiveText receiveDeliveryReport reportTelemetry
  `,
  session: `
    verifyToken getOwnProfile
  `,
  Owner: `
    setStaffMembership createTechnician updateTechnician readCacheEfficiency readSettings updateSettings listAuditLogs
    createMessageTemplate updateMessageTemplate deleteMessageTemplate
  `,
  'Owner Advisor': `
    createCustomer updateCustomer createVehicle transferVehicles updateVehicle deactivateVehicle transferVehicle
    deleteAppointment checkInAppointment checkOutAppointment createServiceOperation updateServiceOperation
    deleteServiceOperation addServiceLine deleteServiceLine sendMessage markMessage deleteMessage reportTemplateUsage
  `,
  'Owner Accountant': `
    refundPayment
  `,
  'Owner Advisor Technician': `
    updateAppointment putAppointment moveAppointment startAppointment readyAppointment completeAppointment updateServiceLine
  `,
  'Owner Advisor Accountant': `
    lookUpCustomer getCustomerHistory listCustomers searchCustomers listRecentCustomers getCustomer getCustomerProfile
    listCustomerVisits listCustomerVehicles listCustomerNotes createCustomerNote exportCustomers listAllVehicles
    searchVehicles getVehicle getVehicleProfile listVehicleVisits listTodaysAppointments listServicePackages
    invoiceAppointment listInvoices createInvoice getInvoice getEstimatePdf getReceiptPdf getEstimatePage getReceiptPage
    getInvoicePdf recordPayment voidPayment voidInvoice addInvoicePackage sendInvoice readDashboardStats listCarsOnPremises
    readDashboardAnalytics readRevenueAnalytics readAppointmentAnalytics readCustomerAnalytics readTemplateAnalytics
    reportAppointments reportPayments exportAppointments exportInvoices listMessageTemplates getMessageTemplate
  `,
  'Owner Advisor Accountant Technician': `
    listAdminAppointments readBoard getAdminAppointment listTechnicians listServiceLines listMessages
  `,
  'Owner Advisor Customer': `
    createRoleVehicle replaceVehicle createAppointment
  `,
  'Owner Advisor Accountant Customer': `
    listVehicles getRoleVehicle listVisibleInvoices getVisibleInvoice getVisibleInvoicePdf
  `,
  'Owner Advisor Accountant Technician Customer': `
    listAppointments getAppointment
  `,
  Customer: `
    updateOwnProfile listOwnVehicles createOwnVehicle getOwnHistory decideSmsConsent
  `,
};

const wordsOf = (text: string): string[] => text.trim().split(/\s+/);
const callersOf = (allow: string | readonly string[]): string => (typeof allow === 'string' ? allow : allow.join(' '));

test('every endpoint › exactly these callers', () => {
  const written = Object.entries(MATRIX).flatMap(([callers, ids]) => wordsOf(ids).map((id) => [id, callers]));
  expect(new Set(written.map(([id]) => id)).size).toBe(written.length);
  expect(Object.fromEntries(endpoints.map(({ id, allow }) => [id, callersOf(allow)]))).toEqual(Object.fromEntries(written));
});
