/** Settings of the SMS provider for a test file that imports this before anything else: the configuration is read once. */
Object.assign(process.env, {
  SMS_ACCOUNT: 'AC0000000000000000000000000000test',
  SMS_TOKEN: 'sandbox-token-of-no-value',
  SMS_FROM: '+15550100000',
  PUBLIC_URL: 'https://shop.example/base/',
});
